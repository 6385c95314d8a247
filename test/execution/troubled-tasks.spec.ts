import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import type { TaskContext, TaskHandlerOptions, TaskRunner } from '../../lib/executors/task-handler.js';
import { TaskDeadlineService } from '../../lib/services/task-deadline.service.js';
import { TaskSubmissionReconciliationService } from '../../lib/services/task-submission-reconciliation.service.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { type HeldRow, holdRow } from '../support/held-row.js';
import { aborted, eventually, gate, handler, TaskInstance } from '../support/task-instance.js';

const GRACE_MS = 2_000;
const ROUND_MS = 100;

describe('One troubled task', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  const workers: TaskInstance[] = [];
  const holds: HeldRow[] = [];
  /** One of each test's own: what it leaves behind runs nowhere. */
  let type = '';

  const tuning: TaskBridgeOptions = {
    reconciliation: { intervalMs: ROUND_MS, backoffMs: 50, maxBackoffMs: 200 },
    execution: { leaseMs: 10_000, heartbeatMs: 200, cancelGraceMs: GRACE_MS },
    shutdown: { runTimeoutMs: 200 },
  };
  const obedient: TaskRunner = {
    run: async ({ signal }: TaskContext): Promise<never> => {
      await aborted(signal);
      throw new Error('stopped');
    },
  };
  const deaf: TaskRunner = { run: () => new Promise(() => undefined) };

  const worker = async (runner: TaskRunner, options?: TaskHandlerOptions, more: TaskBridgeOptions = {}) => {
    const handlers = [handler(type, runner, { concurrency: 50, ...options })];
    const instance = await TaskInstance.open(database, handlers, { ...tuning, ...more });
    workers.push(instance);
    return instance;
  };
  const started = async (instance: TaskInstance, extra?: { deadlineMs: number }): Promise<string> => {
    const taskId = await instance.create(type, {}, extra);
    await instance.until(taskId, (log) => log.length === 1);
    return taskId;
  };
  const hold = async (taskId: string): Promise<HeldRow> => {
    const held = await holdRow(database.url, taskId);
    holds.push(held);
    return held;
  };
  const is = async (condition: string, taskId: string): Promise<boolean> => {
    const rows = await dataSource.query<unknown[]>(
      `select 1 from taskbridge_tasks where task_id = $1 and ${condition}`,
      [taskId],
    );
    return rows.length === 1;
  };
  /** The lease of a process that nobody knows. */
  const loseLease = (taskId: string) =>
    dataSource.query('update taskbridge_tasks set lease_owner = $2 where task_id = $1', [taskId, uuidv7()]);
  const someRounds = () => new Promise((resolve) => setTimeout(resolve, 5 * ROUND_MS));

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await createTestDataSource(database);
  });
  beforeEach(() => {
    type = `job-${uuidv7()}`;
  });
  afterEach(async () => {
    await Promise.all(holds.splice(0).map((held) => held.release()));
    await Promise.all(workers.splice(0).map((instance) => instance.close()));
  });
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  it('whose row is held does not keep its process from renewing its leases', async () => {
    const reasons: unknown[] = [];
    const watched: TaskRunner = {
      run: async ({ signal }) => {
        reasons.push(await aborted(signal));
        throw new Error('stopped');
      },
    };
    const instance = await worker(watched);
    const innocent = await started(instance);
    const overdue = await started(instance, { deadlineMs: 2_000 });
    const held = await hold(overdue);
    await eventually(() => reasons.length === 1);
    expect(reasons).toEqual(['DEADLINE']);

    const renewals = new Set<string | undefined>();
    await eventually(async () => {
      const [row] = await dataSource.query<{ at: string }[]>(
        `select p.expires_at::text as at from taskbridge_processes p
        join taskbridge_tasks t on t.lease_owner = p.process_id where t.task_id = $1`,
        [innocent],
      );
      return renewals.add(row?.at).size === 8;
    });
    expect(await is('attempt = 1 and lease_owner is not null', innocent)).toBe(true);
    expect(reasons.length).toBe(1);
    await held.release();
    expect((await instance.end(overdue)).at(-1)?.payload).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('whose lease has no run and whose row is held is given back once it is free', async () => {
    const instance = await worker(obedient, {}, { reconciliation: { ...tuning.reconciliation, enabled: false } });
    const innocent = await started(instance);
    const overdue = await started(instance, { deadlineMs: 2_000 });
    const held = await hold(overdue);
    await eventually(async () => is('deadline_at < clock_timestamp()', overdue));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await held.release();
    await eventually(async () => is('lease_owner is null and next_run_at is not null', overdue));
    expect(await is('attempt = 1 and lease_owner is not null', innocent)).toBe(true);
  });

  it('that ignored its cancellation and whose row is held does not stop the recovery of others', async () => {
    const instance = await worker(deaf, { backoffMs: 10 });
    const stuck = await started(instance);
    await instance.cancel(stuck);
    const held = await hold(stuck);
    const graceIsOver = `cancel_requested_at < clock_timestamp() - ${GRACE_MS} * interval '1 millisecond'`;
    await eventually(async () => is(graceIsOver, stuck));
    await someRounds();
    const lost = await started(instance);
    await loseLease(lost);
    await eventually(async () => is('attempt > 1 and retries = 1', lost));
    const cancelled = await started(instance);
    await instance.cancel(cancelled);
    expect((await instance.end(cancelled)).at(-1)?.type).toBe('TASK_CANCELLED');
    await held.release();
    expect((await instance.end(stuck)).at(-1)?.type).toBe('TASK_CANCELLED');
  }, 60_000);

  it('that is past its deadline and whose row is held does not stop the deadlines of others', async () => {
    const instance = await worker(deaf);
    const stuck = await started(instance, { deadlineMs: 2_000 });
    const held = await hold(stuck);
    await eventually(async () => is('deadline_at < clock_timestamp()', stuck));
    await someRounds();
    const other = await started(instance, { deadlineMs: 1_000 });
    expect((await instance.end(other)).at(-1)?.payload).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await held.release();
    expect((await instance.end(stuck)).at(-1)?.payload).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  }, 60_000);

  it('that is past its deadline is not run any more while it waits for its end', async () => {
    const ran: unknown[] = [];
    const door = gate();
    const counting: TaskRunner = {
      run: async ({ input }) => {
        ran.push(input.name);
        if (input.name === 'first') await door.opened;
      },
    };
    const instance = await worker(
      counting,
      { concurrency: 1 },
      { reconciliation: { ...tuning.reconciliation, enabled: false } },
    );
    await instance.create(type, { name: 'first' });
    await eventually(() => ran.length === 1);
    const late = await instance.create(type, { name: 'late' }, { deadlineMs: 100 });
    const next = await instance.create(type, { name: 'next' });
    await eventually(async () => is('deadline_at < clock_timestamp()', late));
    door.open();
    await instance.end(next);
    expect(ran).toEqual(['first', 'next']);
  });

  it('whose submission arrives after its deadline is not run at all', async () => {
    let runs = 0;
    const counting: TaskRunner = { run: async () => (runs += 1) };
    const disabled = { reconciliation: { ...tuning.reconciliation, enabled: false } };
    const web = await TaskInstance.open(database, [], { ...tuning, ...disabled, execution: false });
    workers.push(web);
    const taskId = await web.create(type, {}, { deadlineMs: 10 });
    await eventually(async () => is('deadline_at < clock_timestamp()', taskId));
    const instance = await worker(counting, {}, disabled);
    await instance.get(TaskSubmissionReconciliationService).reconcile();
    const delivered = 'submission_state = 2 and submission_attempts = 1';
    expect(await is(`${delivered} and attempt = 0 and lease_owner is null and next_run_at is null`, taskId)).toBe(true);
    await instance.get(TaskDeadlineService).reconcile();
    expect((await instance.end(taskId)).map((event) => event.payload.code)).toEqual(['DEADLINE_EXCEEDED']);
    expect(runs).toBe(0);
  });

  it('that cannot be ended does not keep others of its dead process from their end, and is reported once', async () => {
    const errors = jest.spyOn(Logger.prototype, 'error');
    const instance = await worker(deaf, { onInterrupted: 'fail' });
    const taskIds: string[] = [];
    for (let n = 0; n < 10; n += 1) taskIds.push(await started(instance));
    const [poisoned = '', ...others] = taskIds.toSorted();
    // Takes the place of its next event.
    await dataSource.query(
      `insert into taskbridge_events (task_id, seq, type, created_at, payload)
      values ($1, 2, 2, clock_timestamp(), '{"message": "x", "level": "info"}')`,
      [poisoned],
    );
    await dataSource.query('update taskbridge_tasks set lease_owner = $2 where task_id = any ($1)', [
      taskIds,
      uuidv7(),
    ]);
    for (const taskId of others) {
      expect((await instance.end(taskId)).at(-1)?.payload).toMatchObject({ code: 'EXECUTION_INTERRUPTED' });
    }
    await someRounds();
    await someRounds();
    expect(await is('status < 2 and attempt = 1 and lease_owner is not null', poisoned)).toBe(true);
    const reports = errors.mock.calls.map(([message]) => String(message)).filter((text) => text.includes(poisoned));
    expect(reports.length).toBe(1);
    await dataSource.query('delete from taskbridge_events where task_id = $1 and seq = 2', [poisoned]);
    expect((await instance.end(poisoned)).at(-1)?.payload).toMatchObject({ code: 'EXECUTION_INTERRUPTED' });
  }, 60_000);
});
