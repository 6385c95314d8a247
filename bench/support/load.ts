import { setTimeout as sleep } from 'node:timers/promises';
import type { Figures } from './report.js';

/** Microseconds of the machine's monotonic clock: comparable between processes. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/**
 * A closed loop: each producer calls `work` again as soon as its last call has settled. The figure is `rate`, calls per
 * second; a fifth of the time before is a warm-up. `work` gets the number of the producer and of its call.
 */
export async function closedLoop(
  producers: number,
  durationMs: number,
  work: (producer: number, call: number) => Promise<unknown>,
): Promise<Figures> {
  const startMs = performance.now() + durationMs / 5;
  const endMs = startMs + durationMs;
  let done = 0;
  let lastMs = endMs;
  const produce = async (producer: number): Promise<void> => {
    for (let call = 0; performance.now() < endMs || done === 0; call += 1) {
      await work(producer, call);
      const nowMs = performance.now();
      if (nowMs < startMs || (nowMs >= endMs && done > 0)) continue;
      done += 1;
      lastMs = Math.max(endMs, nowMs);
    }
  };
  await Promise.all(Array.from({ length: producers }, (_, producer) => produce(producer)));
  return { rate: (done * 1_000) / (lastMs - startMs) };
}

/** An open loop: starts `work` `rate` times per second, whether the earlier calls have settled or not. */
export async function openLoop(
  rate: number,
  durationMs: number,
  work: (call: number) => Promise<unknown>,
): Promise<number> {
  const startMs = performance.now();
  const total = Math.round((rate * durationMs) / 1_000);
  const pending: Promise<unknown>[] = [];
  while (pending.length < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startMs) * rate) / 1_000));
    while (pending.length < due) pending.push(work(pending.length));
    await sleep(1);
  }
  await Promise.all(pending);
  return total;
}

/** CPU time of this process that `work` took, in µs, beside its own result. */
export async function withCpu<T>(work: () => Promise<T>): Promise<{ result: T; cpuUs: number }> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuUs: user + system };
}
