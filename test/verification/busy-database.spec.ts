import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyTaskBridge } from '@taskbridge/nestjs/verification';
import { type OpenTestDatabase, openTestDatabase } from '../support/database.js';
import { handler, TaskInstance } from '../support/task-instance.js';

const TURNS = 20;
const OPTIONS = { execution: { leaseMs: 1_000 }, reconciliation: { intervalMs: 50 } };

const HANDLERS = [
  handler(
    'steps',
    {
      run: async (task) => {
        for (let step = 1; step <= 5 && !task.signal.aborted; step += 1) {
          await task.progress(step * 20);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        if (task.input.fails === true) throw new Error('as told');
        return 'done';
      },
    },
    { concurrency: 10 },
  ),
  handler(
    'asks',
    {
      run: async (task) =>
        task.suspend([
          { suspendId: 'a', reasonCode: 'ONE', allowedActions: ['go'] },
          { suspendId: 'b', reasonCode: 'TWO', allowedActions: ['go'], expiresInMs: 200, onExpiry: { resume: 'go' } },
        ]),
      resume: async (task, answer) => (answer.suspendId === 'a' ? task.keepWaiting() : 'answered'),
    },
    { concurrency: 10 },
  ),
];

describe('A busy database', () => {
  let opened: OpenTestDatabase;
  let steady: TaskInstance;

  beforeAll(async () => {
    opened = await openTestDatabase();
    steady = await TaskInstance.open(opened.database, HANDLERS, OPTIONS);
  });

  afterAll(async () => {
    await steady.close();
    await opened.close();
  });

  /** One task of each kind, followed to its end. */
  const round = async (instance: TaskInstance): Promise<void> => {
    const [done, failed, cancelled, asking, abandoned] = await Promise.all([
      instance.create('steps'),
      instance.create('steps', { fails: true }),
      instance.create('steps'),
      instance.create('asks'),
      instance.create('asks'),
    ]);
    await Promise.all([
      instance.cancel(cancelled),
      instance.questions(asking, 2).then(() => steady.answer(asking, 'a')),
      instance.questions(abandoned, 2).then(() => steady.cancel(abandoned)),
    ]);
    await Promise.all([done, failed, cancelled, asking, abandoned].map((taskId) => steady.end(taskId)));
  };

  it('has no finding while tasks run, ask, expire, fail and are cancelled, and instances come and go', async () => {
    const over = new AbortController();
    const done = { rounds: 0 };
    const load = async (): Promise<void> => {
      while (!over.signal.aborted) {
        await Promise.all([round(steady), round(steady)]);
        done.rounds += 1;
      }
    };
    const comings = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const passing = await TaskInstance.open(opened.database, HANDLERS, OPTIONS);
        await Promise.all([passing.create('steps'), passing.create('asks')]);
        await passing.close();
      }
    };
    const working = Promise.all([load(), comings()]).finally(() => over.abort());
    const found: unknown[] = [];
    let events = 0;
    for (let turn = 1; turn <= TURNS || (done.rounds < 3 && !over.signal.aborted); turn += 1) {
      const { findings, scanned } = await verifyTaskBridge(opened.dataSource, { batchSize: 50, leaseGraceMs: 5_000 });
      found.push(...findings);
      events = scanned.events;
    }
    over.abort();
    await working;
    expect(found).toEqual([]);
    expect(events).toBeGreaterThan(100);
    expect((await verifyTaskBridge(opened.dataSource)).findings).toEqual([]);
  }, 180_000);
});
