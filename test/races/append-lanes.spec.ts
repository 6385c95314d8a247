import { openTestProcesses, type TestProcesses } from '../support/processes.js';
import { startTask, type TestStores } from '../support/stores.js';

const ROUNDS = 200;
const ENDINGS = ['TASK_COMPLETED', 'TASK_FAILED', 'TASK_CANCELLED'] as const;
const PAYLOADS = {
  TASK_PROGRESS: { progress: 1 },
  TASK_COMPLETED: { result: 1 },
  TASK_FAILED: { code: 'X', message: 'x', retryable: false },
  TASK_CANCELLED: { reason: 'r' },
};

/** `'won'` or the code of the refusal. */
function report(stores: TestStores, taskId: string, type: keyof typeof PAYLOADS, enlisted: boolean): Promise<string> {
  const command = { taskId, type, payload: PAYLOADS[type], attempt: null };
  const appended = enlisted
    ? stores.registry.transaction((manager) => stores.events.append(command, { manager }))
    : stores.events.append(command);
  return appended.then(
    () => 'won',
    (error: { code: string }) => error.code,
  );
}

describe('several processes that append to the same tasks', () => {
  let world: TestProcesses;

  beforeAll(async () => {
    world = await openTestProcesses(3);
  });
  afterAll(() => world.close());

  async function logOf(taskId: string): Promise<{ seqs: number[]; endings: number }> {
    const events = await world.processOf(0).events.listAfter(taskId, 0, 1_000);
    return {
      seqs: events.map(({ seq }) => seq),
      endings: events.filter(({ type }) => ENDINGS.some((ending) => ending === type)).length,
    };
  }

  it('let one ending win, with no gap before it', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const { taskId } = await startTask(world.processOf(round));
      const reports = await Promise.all(
        world.processes.flatMap((stores, index) => [
          report(stores, taskId, 'TASK_PROGRESS', false),
          report(stores, taskId, ENDINGS[index] ?? 'TASK_FAILED', (round + index) % 4 === 0),
          report(stores, taskId, 'TASK_PROGRESS', false),
        ]),
      );
      const { seqs, endings } = await logOf(taskId);
      expect(endings).toBe(1);
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
      expect(reports.filter((outcome) => outcome === 'won')).toHaveLength(seqs.length - 1);
      expect(reports.filter((outcome) => outcome !== 'won' && outcome !== 'TASK_ALREADY_TERMINAL')).toEqual([]);
    }
  });

  it('number a shared set of tasks without a gap, a repeat or a deadlock', async () => {
    const tasks = await Promise.all(Array.from({ length: 20 }, () => startTask(world.processOf(0))));
    const perProcess = 1_500;
    await Promise.all(
      world.processes.map(async (stores, process) => {
        const appends: Promise<unknown>[] = [];
        for (let n = 0; n < perProcess; n += 1) {
          const task = tasks[(n * (process + 3)) % tasks.length];
          appends.push(
            stores.events.append({
              taskId: task?.taskId ?? '',
              type: 'TASK_PROGRESS',
              payload: { progress: process },
              attempt: null,
            }),
          );
          if (n % 50 === 0) await appends[n];
        }
        await Promise.all(appends);
      }),
    );
    const logs = await Promise.all(tasks.map(({ taskId }) => logOf(taskId)));
    for (const { seqs } of logs) expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    expect(logs.reduce((sum, { seqs }) => sum + seqs.length, 0)).toBe(
      tasks.length + perProcess * world.processes.length,
    );
    const [row] = await world.query<{ deadlocks: string }>(
      `select deadlocks from pg_stat_database where datname = current_database()`,
    );
    expect(Number(row?.deadlocks)).toBe(0);
  });

  it('never leave an open question or a pending answer behind an ending', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const [asking, answering, ending] = [world.processOf(0), world.processOf(1), world.processOf(2)];
      const { taskId, attempt } = await startTask(asking);
      const request = { reasonCode: 'R', allowedActions: ['go'] };
      await asking.suspensions.openSuspensions({ taskId, attempt, requests: [{ ...request, suspendId: 'first' }] });
      await Promise.allSettled([
        asking.suspensions.openSuspensions({ taskId, attempt, requests: [{ ...request, suspendId: 'second' }] }),
        answering.suspensions.acceptActionIfOpen({
          taskId,
          clientActionId: 'a',
          suspendId: 'first',
          actionType: 'go',
          payload: null,
          metadata: null,
          requestHash: 'h',
          acceptedBy: 'ann',
          claimMs: 0,
        }),
        report(ending, taskId, 'TASK_CANCELLED', false),
      ]);
      expect((await ending.registry.getTask(taskId))?.status).toBe('CANCELLED');
      expect(await ending.suspensions.listOpen(taskId)).toEqual([]);
      const pending = (await ending.receipts.listReceipts(taskId)).filter(({ resume }) => resume.state < 3);
      expect(pending).toEqual([]);
    }
  });
});
