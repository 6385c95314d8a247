import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type MetricLabels, NoMetrics } from '../../lib/observability/metrics-sink.js';
import { TaskScheduler } from '../../lib/services/task-scheduler.js';
import { AttachmentStore } from '../../lib/stores/attachment.store.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { ScriptedExecutor } from '../support/fake-executors.js';
import { eventually, TaskInstance } from '../support/task-instance.js';
import { tableNames } from '../../lib/stores/table-names.js';

class TroubledExecutor extends ScriptedExecutor {
  rounds = 0;

  override async reconcile(): Promise<number> {
    this.rounds += 1;
    throw new Error('the engine is down');
  }
}

class CountingMetrics extends NoMetrics {
  readonly seconds: (string | undefined)[] = [];
  lagSeconds = -1;
  private readonly totals = new Map<string, number>();

  override count(name?: string, by = 1, labels?: MetricLabels): void {
    const key = `${name} ${labels?.['job']}`;
    this.totals.set(key, (this.totals.get(key) ?? 0) + by);
  }

  override gauge(name?: string, value = 0): void {
    if (name === 'taskbridge_scheduler_lag_seconds') this.lagSeconds = value;
  }

  override observe(name?: string, _value?: number, labels?: MetricLabels): void {
    if (name === 'taskbridge_scheduler_job_seconds') this.seconds.push(labels?.['job']);
  }

  total(name: string, job: string): number {
    return this.totals.get(`${name} ${job}`) ?? 0;
  }
}

describe('TaskScheduler', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
  });
  afterAll(() => database.drop());

  it('brings the others forward when one kind of upkeep fails, round after round', async () => {
    const executor = new TroubledExecutor({});
    const options = { executor: { useFactory: () => executor }, reconciliation: { intervalMs: 20 } };
    const instance = await TaskInstance.open(database, [], options);
    try {
      const taskId = await instance.create('any', {}, { deadlineMs: 50 });
      const log = await instance.end(taskId);
      expect(log[0]?.payload.code).toBe('DEADLINE_EXCEEDED');
      expect(executor.rounds).toBeGreaterThan(1);
    } finally {
      await instance.close();
    }
    const rounds = executor.rounds;
    await new Promise((resolve) => setImmediate(resolve));
    expect(executor.rounds).toBe(rounds);
  });

  it('does nothing by itself when it is disabled, and a round when the host asks for one', async () => {
    let down = true;
    const executor = new ScriptedExecutor({
      submit: () => {
        if (down) throw new Error('not yet');
      },
    });
    const reconciliation = { enabled: false, backoffMs: 1 };
    const instance = await TaskInstance.open(database, [], {
      executor: { useFactory: () => executor },
      reconciliation,
    });
    try {
      await instance.create('any');
      down = false;
      expect(executor.submitted.length).toBe(1);
      const scheduler = instance.get(TaskScheduler);
      for (let round = 0; round < 100 && executor.submitted.length === 1; round += 1) await scheduler.runRound();
      expect(executor.submitted.length).toBe(2);
    } finally {
      await instance.close();
    }
  });

  it('tells its lag, and what each kind of upkeep took and how often it failed', async () => {
    const metrics = new CountingMetrics();
    const executor = new TroubledExecutor({});
    const instance = await TaskInstance.open(database, [], {
      executor: { useFactory: () => executor },
      metricsSink: { useFactory: () => metrics },
      reconciliation: { intervalMs: 20 },
    });
    try {
      await instance.end(await instance.create('any', {}, { deadlineMs: 50 }));
      await eventually(() => metrics.total('taskbridge_scheduler_failures_total', 'executor') > 1);
      expect(metrics.total('taskbridge_scheduler_items_total', 'deadlines')).toBe(1);
      expect(metrics.total('taskbridge_scheduler_failures_total', 'deadlines')).toBe(0);
      expect(metrics.seconds).toEqual(expect.arrayContaining(['deadlines', 'submissions', 'answers', 'executor']));
      expect(metrics.lagSeconds).toBeGreaterThanOrEqual(0);
    } finally {
      await instance.close();
    }
  });

  it('removes staged attachments that a crashed upload left behind, and no younger ones', async () => {
    const instance = await TaskInstance.open(database, [], { execution: false, reconciliation: { enabled: false } });
    const dataSource = await createTestDataSource(database);
    try {
      const store = instance.get(AttachmentStore);
      const stage = (name: string) =>
        store.stage({ name, contentType: 'text/plain', position: 0, content: Readable.from([Buffer.from(name)]) });
      const [old, young] = [await stage('old'), await stage('young')];
      const { attachments } = tableNames(dataSource);
      const age = `update ${attachments} set created_at = created_at - interval '61 minutes' where attachment_id = $1`;
      await dataSource.query(age, [old.attachmentId]);
      await instance.get(TaskScheduler).runRound();
      const left = await dataSource.query<{ attachment_id: string }[]>(`select attachment_id from ${attachments}`);
      expect(left.map(({ attachment_id: id }) => id)).toEqual([young.attachmentId]);
    } finally {
      await dataSource.destroy();
      await instance.close();
    }
  });
});
