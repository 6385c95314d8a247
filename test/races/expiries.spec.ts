import { setTimeout as sleep } from 'node:timers/promises';
import { openTestProcesses, type TestProcesses } from '../support/processes.js';
import { startTask, type TestStores } from '../support/stores.js';
import { answerTo } from '../support/answers.js';

const ROUNDS = 200;

async function expireUntilSettled({ suspensions }: TestStores, taskId: string): Promise<void> {
  for (let look = 0; look < 1_000; look += 1) {
    await suspensions.expireOpenSuspensions(10);
    if ((await suspensions.listOpen(taskId)).length === 0) return;
  }
  throw new Error('The suspension was never settled');
}

describe('an answer and the expiry of its question', () => {
  let world: TestProcesses;

  beforeAll(async () => {
    world = await openTestProcesses(2);
  });
  afterAll(() => world.close());

  it('never both win', async () => {
    const winners = { answer: 0, expiry: 0 };
    // Moves towards the moment at which either may win, however fast this machine is.
    let expiresInMs = 20;
    for (let round = 0; round < ROUNDS; round += 1) {
      const { taskId, attempt } = await startTask(world.processOf(round));
      const requests = [
        {
          suspendId: 'q',
          reasonCode: 'R',
          allowedActions: ['go', 'skip'],
          expiresInMs,
          onExpiry: { resume: 'skip' } as const,
        },
      ];
      await world.processOf(round).suspensions.openSuspensions({ taskId, attempt, requests });
      await sleep(10);
      const [decision] = await Promise.all([
        world.processOf(0).suspensions.acceptActionIfOpen(answerTo(taskId)),
        expireUntilSettled(world.processOf(0), taskId),
        expireUntilSettled(world.processOf(1), taskId),
      ]);
      const receipts = await world.processOf(0).receipts.listReceipts(taskId);
      expect(receipts.map(({ clientActionId }) => clientActionId)).toEqual([
        decision.outcome === 'ACCEPTED' ? 'answer' : 'expiry:q',
      ]);
      expect(['ACCEPTED', 'REJECTED_EXPIRED']).toContain(decision.outcome);
      expect((await world.processOf(0).registry.getTask(taskId))?.lastSeq).toBe(3);
      const winner = decision.outcome === 'ACCEPTED' ? 'answer' : 'expiry';
      winners[winner] += 1;
      expiresInMs = Math.max(1, expiresInMs + (winner === 'answer' ? -3 : 3));
    }
    expect(winners.answer).toBeGreaterThan(0);
    expect(winners.expiry).toBeGreaterThan(0);
  });
});
