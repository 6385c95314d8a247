import { describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { NoMetrics } from '../../lib/observability/metrics-sink.js';
import { PeriodicJob } from '../../lib/services/periodic-job.js';
import { gate } from '../support/task-instance.js';

Logger.overrideLogger(false);

const jobOf = (work: () => Promise<number>, everyMs = 0) =>
  new PeriodicJob({ name: 'The upkeep', label: 'upkeep', work, batchSize: 10, everyMs, metrics: new NoMetrics() });

describe('A periodic job', () => {
  it('takes further batches at once while they are full', async () => {
    const batches = [10, 10, 3, 10];
    await jobOf(async () => batches.shift() ?? 0).run();
    expect(batches).toEqual([10]);
  });

  it('stops after a limited number of full batches', async () => {
    let batches = 0;
    await jobOf(async () => {
      batches += 1;
      return 10;
    }).run();
    expect(batches).toBe(20);
  });

  it('never overlaps with itself, and runs once more for all calls meanwhile', async () => {
    const hold = gate();
    let running = 0;
    let most = 0;
    let runs = 0;
    const job = jobOf(async () => {
      running += 1;
      most = Math.max(most, running);
      runs += 1;
      await hold.opened;
      running -= 1;
      return 0;
    });
    const calls = [job.run(), job.run(), job.run()];
    hold.open();
    await Promise.all(calls);
    expect([most, runs]).toEqual([1, 2]);
  });

  it('goes on after a failure', async () => {
    const outcomes = [() => Promise.reject(new Error('no database')), () => Promise.resolve(0)];
    const job = jobOf(() => (outcomes.shift() ?? (() => Promise.resolve(0)))());
    await job.run();
    await job.run();
    expect(outcomes).toEqual([]);
  });

  it('keeps its own pace', async () => {
    let runs = 0;
    const job = jobOf(async () => {
      runs += 1;
      return 0;
    }, 60_000);
    await job.runIfDue();
    await job.runIfDue();
    await job.run();
    expect(runs).toBe(2);
  });

  it('starts nothing more once it is stopped, and waits for what runs', async () => {
    const hold = gate();
    let ended = 0;
    const job = jobOf(async () => {
      await hold.opened;
      ended += 1;
      return 10;
    });
    void job.run();
    const stopped = job.stop();
    hold.open();
    await stopped;
    await job.run();
    expect(ended).toBe(1);
  });
});
