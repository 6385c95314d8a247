import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { FollowerTarget } from './bench-follower.js';

export interface StallRequest {
  target: FollowerTarget;
  /** For how long it reads nothing. */
  stallMs: number;
  /** How many events the log has at least. */
  events: number;
}

export interface StalledResult {
  /** What the server closed the stalled connection with. */
  closeCode: number;
  /** Events up to `events` that it did not get in order over both connections. */
  missing: number;
}

/** Subscribes, reads nothing for a while, reads what is left, and comes back with its cursor. */
export async function stall({ target, stallMs, events }: StallRequest): Promise<StalledResult> {
  const seqs: number[] = [];
  const url = `ws://127.0.0.1:${target.port}${target.path}`;
  const connect = (cursor: number): WebSocket => {
    const socket = new WebSocket(url, { headers: { authorization: 'Bearer ada' } });
    const subscribe = { ...JSON.parse(target.subscribe ?? '{}'), lastEventId: `${cursor}-0` };
    socket.on('open', () => socket.send(JSON.stringify(subscribe)));
    socket.on('message', (data: Buffer) => {
      const seq = Number(/^\{"type":"TASK_\w+","taskId":"[^"]+","eventId":"(\d+)/.exec(data.toString('latin1'))?.[1]);
      if (seq === (seqs.at(-1) ?? 0) + 1) seqs.push(seq);
    });
    socket.on('error', () => undefined);
    return socket;
  };
  const first = connect(0);
  const closed = new Promise<number>((resolve) => first.once('close', resolve));
  first.once('open', () => first.pause());
  await sleep(stallMs);
  first.resume();
  const closeCode = await closed;
  const second = connect(seqs.at(-1) ?? 0);
  for (let waited = 0; seqs.length < events && waited < 20_000; waited += 20) await sleep(20);
  second.terminate();
  return { closeCode, missing: Math.max(0, events - seqs.length) };
}
