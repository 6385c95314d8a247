import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { DeltaStream } from '../../lib/services/delta-stream.js';
import { TaskBridgeError } from '../../lib/taskbridge.errors.js';

/** Keeps what is appended and settles it when it is told to. */
class Log {
  readonly texts: string[] = [];
  readonly merging = new Set<DeltaStream>();
  private readonly settle: ((error?: Error) => void)[] = [];
  isOpen = true;

  append(text: string): Promise<void> {
    this.texts.push(text);
    if (this.isOpen) return Promise.resolve();
    return new Promise((resolve, reject) => this.settle.push((error) => (error ? reject(error) : resolve())));
  }

  settleNext(error?: Error): void {
    this.settle.shift()?.(error);
  }
}

describe('A stream of deltas', () => {
  let log: Log;
  let stream: DeltaStream;

  beforeEach(() => {
    jest.useFakeTimers();
    log = new Log();
    stream = new DeltaStream(log);
  });
  afterEach(() => void jest.useRealTimers());

  const writeMany = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, index) => stream.write(`${index},`)));
  const turns = () => jest.advanceTimersByTimeAsync(0);

  it('merges the deltas of 33 ms', async () => {
    await writeMany(3);
    await jest.advanceTimersByTimeAsync(32);
    expect(log.texts).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(log.texts).toEqual(['0,1,2,']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('appends every 50 deltas without waiting', async () => {
    await writeMany(120);
    expect(log.texts.map((text) => text.split(',').length - 1)).toEqual([50, 50]);
    stream.cut();
    expect(log.texts.join('')).toBe(Array.from({ length: 120 }, (_, index) => `${index},`).join(''));
  });

  it('merges by the limits it was given', async () => {
    stream = new DeltaStream(log, { maxDeltas: 2, maxDelayMs: 5 });
    await writeMany(3);
    expect(log.texts).toEqual(['0,1,']);
    await jest.advanceTimersByTimeAsync(5);
    expect(log.texts).toEqual(['0,1,', '2,']);
  });

  it.each([{ maxDeltas: 0 }, { maxDeltas: 1.5 }, { maxDelayMs: -1 }, { maxDelayMs: 60_000 }])(
    'refuses the limits %j',
    (limits) => {
      expect(() => new DeltaStream(log, limits)).toThrow(expect.objectContaining({ code: 'REQUEST_VALIDATION_ERROR' }));
    },
  );

  it('makes its writer wait and merges more while the log is behind', async () => {
    log.isOpen = false;
    stream = new DeltaStream(log, { maxDeltas: 1 });
    const writes = Array.from({ length: 10 }, (_, index) => stream.write(`${index}`));
    let isWelcome = false;
    void writes.at(-1)?.then(() => (isWelcome = true));
    await jest.advanceTimersByTimeAsync(1_000);
    expect(log.texts).toEqual(['0', '1', '2', '3']);
    expect(isWelcome).toBe(false);
    log.settleNext();
    await turns();
    expect(log.texts).toEqual(['0', '1', '2', '3', '456789']);
    log.settleNext();
    await turns();
    expect(isWelcome).toBe(true);
  });

  it('bounds an event, whoever waits', async () => {
    log.isOpen = false;
    const half = 'x'.repeat(5_000);
    for (let write = 0; write < 8; write += 1) void stream.write(half);
    await turns();
    expect(log.texts.map(({ length }) => length)).toEqual(Array.from({ length: 7 }, () => 5_000));
  });

  it('says with flush when everything is durable', async () => {
    log.isOpen = false;
    void stream.write('a');
    let isFlushed = false;
    void stream.flush().then(() => (isFlushed = true));
    await turns();
    expect([log.texts, isFlushed]).toEqual([['a'], false]);
    log.settleNext();
    await turns();
    expect(isFlushed).toBe(true);
    expect(log.merging.size).toBe(0);
  });

  it('takes nothing more after a refusal, and says why', async () => {
    log.isOpen = false;
    await stream.write('lost');
    stream.cut();
    log.settleNext(new TaskBridgeError('TASK_ALREADY_TERMINAL', 'over'));
    await turns();
    await expect(stream.write('more')).rejects.toMatchObject({ code: 'TASK_ALREADY_TERMINAL' });
    await expect(stream.flush()).rejects.toMatchObject({ code: 'TASK_ALREADY_TERMINAL' });
    expect(log.texts).toEqual(['lost']);
  });

  it('leaves out a delta with NUL and goes on', async () => {
    await stream.write('a');
    await expect(stream.write('\u0000')).rejects.toMatchObject({ code: 'REQUEST_VALIDATION_ERROR' });
    await stream.write('b');
    stream.cut();
    expect(log.texts).toEqual(['ab']);
  });

  it('keeps the halves of a surrogate pair together across events', async () => {
    stream = new DeltaStream(log, { maxDeltas: 1 });
    const [high = '', low = ''] = '😀'.split('');
    await stream.write(`a${high}`);
    await stream.write(low);
    expect(log.texts).toEqual(['a', '😀']);
    await stream.write(`b${high}`);
    await stream.flush();
    expect(log.texts).toEqual(['a', '😀', 'b', '\ufffd']);
  });

  it.each([1_000, 4_096, 8_192, 9_000])('keeps pairs whole that were cut after %i characters', async (size) => {
    const text = `a${'😀'.repeat(10_000)}`;
    for (let start = 0; start < text.length; start += size) await stream.write(text.slice(start, start + size));
    await stream.flush();
    expect(log.texts.join('')).toBe(text);
  });

  it('keeps a pair whole that another report comes between', async () => {
    await stream.write('a\ud83d');
    stream.cut();
    await stream.write('\ude00b');
    await stream.flush();
    expect(log.texts).toEqual(['a', '😀b']);
  });

  it('appends half a pair at its end', async () => {
    await stream.write('a\ud83d');
    stream.end();
    expect(log.texts).toEqual(['a\ufffd']);
  });

  it('appends nothing after what was refused', async () => {
    log.isOpen = false;
    await stream.write('x'.repeat(8_192));
    await stream.write('next');
    log.settleNext(new Error('too large'));
    await turns();
    await jest.advanceTimersByTimeAsync(50);
    expect(log.texts).toEqual(['x'.repeat(8_192)]);
    await expect(stream.flush()).rejects.toThrow('too large');
  });
});
