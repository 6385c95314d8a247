import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isTerminalEventType } from '@taskbridge/protocol';
import { TaskReporter } from '../../lib/services/task-reporter.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { ScriptedExecutor } from '../support/fake-executors.js';
import { aborted, gate, handler, TaskInstance } from '../support/task-instance.js';

const ROUNDS = 200;

describe('Endings that race', () => {
  let database: TestDatabase;
  let host: TaskInstance;
  let foreign: TaskInstance;
  const gates = new Map<string, ReturnType<typeof gate>>();

  const finishing = handler('finishing', {
    run: async ({ input, signal }) => {
      const told = aborted(signal).then(() => 'told');
      const first = await Promise.race([told, gates.get(String(input.round))?.opened]);
      if (first === 'told' && input.obeys === true) throw new Error('stopped');
      return 'finished';
    },
  });

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
    host = await TaskInstance.open(database, [finishing], { execution: { cancelGraceMs: 60_000 } });
    foreign = await TaskInstance.open(database, [], { executor: { useFactory: () => new ScriptedExecutor({}) } });
  });
  afterAll(async () => {
    await Promise.all([host.close(), foreign.close()]);
    await database.drop();
  });

  it(`give a task one ending when a cancellation meets a completion, ${ROUNDS} times`, async () => {
    const endings = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const door = gate();
      gates.set(String(round), door);
      const taskId = await host.create('finishing', { round, obeys: round % 2 === 0 });
      await host.until(taskId, (log) => log.length === 1);
      const cancelled = host.cancel(taskId);
      // The cancellation reaches the run a moment after its answer: before, about then, and after.
      if (round % 4 > 0) await cancelled;
      if (round % 4 > 1) await new Promise((resolve) => setTimeout(resolve, round % 7));
      door.open();
      await cancelled;
      const log = await host.end(taskId);
      const terminal = log.filter(({ type }) => isTerminalEventType(type)).map(({ type }) => type);
      expect([terminal.length, log.at(-1)?.type]).toEqual([1, terminal[0]]);
      expect((await host.task(taskId)).status).toBe(terminal[0]?.replace('TASK_', ''));
      for (const type of terminal) endings.set(type, (endings.get(type) ?? 0) + 1);
    }
    expect([...endings.keys()].toSorted()).toEqual(['TASK_CANCELLED', 'TASK_COMPLETED']);
  }, 120_000);

  it(`accept exactly one of concurrent terminal reports, ${ROUNDS} times`, async () => {
    const reporter = foreign.get(TaskReporter);
    for (let round = 0; round < ROUNDS; round += 1) {
      const taskId = await foreign.create('any');
      const attempt = await reporter.beginAttempt(taskId);
      await attempt.started();
      const reporters = Array.from({ length: 6 }, () => reporter.attach(taskId, attempt.attempt));
      const reports = await Promise.allSettled(
        reporters.map((each, i) => {
          if (i % 3 === 0) return each.complete(i);
          return i % 3 === 1 ? each.fail({ message: `${i}` }) : each.cancelled('raced');
        }),
      );
      const codes = reports.map((report) => (report.status === 'rejected' ? report.reason.code : 'ok'));
      expect(codes.filter((code) => code === 'ok').length).toBe(1);
      expect(codes.filter((code) => code === 'TASK_ALREADY_TERMINAL').length).toBe(5);
      expect((await foreign.log(taskId)).length).toBe(2);
    }
  }, 120_000);
});
