import { describe, expect, it } from '@jest/globals';
import type { LogEvent } from '../../lib/stores/records.js';
import type { EventFrame } from '../../lib/streams/event-frame.js';
import { MAX_BATCH_BYTES } from '../../lib/streams/frame-batch.js';
import { TaskTail, type TailContext } from '../../lib/streams/task-tail.js';
import { eventually } from '../support/eventually.js';

const TASK_ID = '0198c2f0-0000-7000-8000-000000000001';

function event(seq: number, text = '', type: LogEvent['type'] = 'TASK_MESSAGE'): LogEvent {
  const payloadJson = JSON.stringify({ message: `${seq}${text}` });
  return { taskId: TASK_ID, seq, type, createdAt: '2026-03-01T10:00:00.000Z', payloadJson };
}

function events(from: number, to: number): LogEvent[] {
  return Array.from({ length: to - from + 1 }, (_, index) => event(from + index));
}

/** A log in memory whose reads can be held up, with the tail that reads it. */
class TailScene {
  log: LogEvent[] = [];
  reads = 0;
  failures = 0;
  emitted: number[] = [];
  readonly tail: TaskTail;

  constructor(startSeq = 0, { events: ringEvents = 100, bytes = 1_000_000, pageSize = 50 } = {}) {
    const context: TailContext = {
      ring: { events: ringEvents, bytes },
      pageSize,
      read: (_taskId, afterSeq, limit) => this.read(afterSeq, limit),
      schedule: (tail) => setImmediate(() => tail.emit()),
      readFailed: () => (this.failures += 1),
      followerFailed: () => (this.failures += 1),
    };
    this.tail = new TaskTail(TASK_ID, startSeq, context);
    this.tail.batches$.subscribe((frames: readonly EventFrame[]) => this.emitted.push(...frames.map(({ seq }) => seq)));
  }

  private async read(afterSeq: number, limit: number): Promise<LogEvent[]> {
    this.reads += 1;
    const rows = this.log.filter(({ seq }) => seq > afterSeq).slice(0, limit);
    await new Promise((resolve) => setImmediate(resolve));
    return rows;
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

describe('the tail of a task', () => {
  it('takes contiguous events without reading the log', async () => {
    const scene = new TailScene();
    scene.tail.accept(events(1, 3));
    scene.tail.accept(events(2, 5));
    await eventually(() => scene.emitted.length === 5);
    expect([scene.emitted, scene.reads, scene.tail.lastSeq]).toEqual([range(1, 5), 0, 5]);
  });

  it('reads the log when events are missing in between', async () => {
    const scene = new TailScene();
    scene.log = events(1, 9);
    scene.tail.accept([event(8)]);
    await eventually(() => scene.tail.lastSeq === 9);
    await eventually(() => scene.emitted.length === 9);
    expect(scene.emitted).toEqual(range(1, 9));
  });

  it('reads page after page until it is up to date', async () => {
    const scene = new TailScene(0, { pageSize: 10 });
    scene.log = events(1, 35);
    scene.tail.pull();
    await eventually(() => scene.tail.lastSeq === 35);
    expect(scene.reads).toBe(4);
  });

  it('reads once more for calls that come while it reads', async () => {
    const scene = new TailScene();
    scene.log = events(1, 2);
    for (let call = 0; call < 20; call += 1) scene.tail.pull();
    scene.log = events(1, 4);
    await eventually(() => scene.tail.lastSeq === 4);
    expect(scene.reads).toBe(2);
  });

  it('goes on after retention has removed what it has not read', async () => {
    const scene = new TailScene();
    scene.log = events(40, 45);
    scene.tail.pull();
    await eventually(() => scene.emitted.length === 6);
    expect([scene.emitted, scene.tail.lastSeq]).toEqual([range(40, 45), 45]);
    expect(scene.tail.next(0, 10)).toBeUndefined();
  });

  it('takes nothing after the terminal event', () => {
    const scene = new TailScene();
    scene.tail.accept([event(1), event(2, '', 'TASK_COMPLETED'), event(3)]);
    expect([scene.tail.lastSeq, scene.tail.isEnded]).toEqual([2, true]);
  });

  it('forgets the oldest events past its limits and then gives no batch from before', () => {
    const scene = new TailScene(0, { events: 10 });
    for (let seq = 1; seq <= 1_000; seq += 1) scene.tail.accept([event(seq)]);
    expect(scene.tail.next(989, 100)).toBeUndefined();
    expect(scene.tail.next(990, 100)?.frames.map(({ seq }) => seq)).toEqual(range(991, 1_000));
    expect(scene.tail.next(1_000, 100)).toBeUndefined();
  });

  it('limits its memory by bytes as well, and keeps at least the newest event', () => {
    const scene = new TailScene(0, { bytes: 2_000 });
    for (let seq = 1; seq <= 50; seq += 1) scene.tail.accept([event(seq, 'x'.repeat(5_000))]);
    expect(scene.tail.next(49, 10)?.toSeq).toBe(50);
    expect(scene.tail.next(48, 10)).toBeUndefined();
  });

  it('shares one serialised batch among followers at the same cursor', () => {
    const scene = new TailScene();
    scene.tail.accept(events(1, 20));
    const batch = scene.tail.next(5, 10);
    expect(batch?.frames.map(({ seq }) => seq)).toEqual(range(6, 15));
    expect(scene.tail.next(5, 10)).toBe(batch);
    expect(batch?.sse()).toBe(batch?.sse());
    expect(batch?.webSocket()).toBe(batch?.webSocket());
    scene.tail.accept([event(21)]);
    expect(scene.tail.next(5, 10)).not.toBe(batch);
  });

  it('shares one read of the log among followers at the same cursor', async () => {
    const scene = new TailScene(100);
    scene.log = events(1, 100);
    const [first, second] = await Promise.all([scene.tail.page(0, 10), scene.tail.page(0, 10)]);
    expect(first).toBe(second);
    expect([first[0]?.fromSeq, first[0]?.toSeq, scene.reads]).toEqual([1, 10, 1]);
  });

  it('splits a page of large events into batches of limited size', async () => {
    const scene = new TailScene(10);
    scene.log = range(1, 10).map((seq) => event(seq, 'y'.repeat(60_000)));
    const batches = await scene.tail.page(0, 10);
    expect(batches.flatMap(({ frames }) => frames.map(({ seq }) => seq))).toEqual(range(1, 10));
    expect(batches.length).toBe(3);
    for (const batch of batches) expect(batch.sse().length).toBeLessThan(MAX_BATCH_BYTES * 1.1);
  });
});

describe('frames', () => {
  it('are one SSE message per event, with its id and without an event name', () => {
    const scene = new TailScene();
    scene.tail.accept([event(1)]);
    const envelope = `{"type":"TASK_MESSAGE","taskId":"${TASK_ID}","eventId":"1-0","createdAt":"2026-03-01T10:00:00.000Z","payload":{"message":"1"}}`;
    expect(scene.tail.next(0, 1)?.sse().toString()).toBe(`id: 1-0\ndata: ${envelope}\n\n`);
  });

  it('keep a stored payload with line breaks on one line', () => {
    const scene = new TailScene();
    scene.tail.accept([{ ...event(1), payloadJson: '{\r\n  "message": "a\\nb"\n}' }]);
    const sse = scene.tail.next(0, 1)?.sse().toString() ?? '';
    expect(sse.trimEnd().split('\n')).toHaveLength(2);
    expect(JSON.parse(sse.split('data: ')[1] ?? '').payload).toEqual({ message: 'a\nb' });
  });

  it('wakes the other followers when one of them fails', () => {
    const scene = new TailScene();
    const woken: number[] = [];
    const follower = (id: number) => ({
      pump: () => {
        woken.push(id);
        if (id === 1) throw new Error('a metric could not be recorded');
      },
    });
    for (const id of [0, 1, 2]) scene.tail.attach(follower(id));
    scene.tail.accept(events(1, 1));
    scene.tail.emit();
    expect(woken).toEqual([0, 1, 2]);
    expect(scene.failures).toBe(1);
  });
});
