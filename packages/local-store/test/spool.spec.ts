import { jest } from '@jest/globals';
import type { OutboxMessage, LocalTaskStore, RotatedChunks, SpoolStatus } from '@taskbridge/local-store';
import { eventually } from '../../../test/support/eventually.js';
import { StoreFolder, pendingIds, start, task, text, thrownBy } from './support/stores.js';

const append = (store: LocalTaskStore, taskId: string, payload: string, stream = 'stdout') =>
  store.appendOutputChunk({ ...task(taskId), stream, payload });

describe('the spool', () => {
  let folder: StoreFolder;

  beforeEach(() => {
    folder = new StoreFolder();
  });

  afterEach(() => folder.remove());

  it('rotates the oldest chunks of all tasks out and leaves one marker for each stream', () => {
    const store = folder.open({ spoolCapBytes: 20, terminalReserveBytes: 4 });
    start(store, task('a'));
    start(store, task('b'));
    for (const [taskId, payload] of [
      ['a', '11111'],
      ['b', '22222'],
      ['a', '33333'],
      ['a', '44444'],
    ] as const) {
      append(store, taskId, payload);
    }
    expect(store.snapshot().truncations).toEqual([]);
    append(store, 'b', '5555566666');
    expect(pendingIds(store)).toEqual([
      'a/attempt-1/stdout/1-1',
      'b/attempt-1/stdout/1-1',
      'a/attempt-1/stdout/2',
      'a/attempt-1/stdout/3',
      'b/attempt-1/stdout/2',
    ]);
    append(store, 'b', '7');
    const [marker] = store.unackedMessages();
    expect(marker).toMatchObject({
      type: 'truncation',
      messageId: 'a/attempt-1/stdout/1-2',
      sequence: 1,
      lastSequence: 2,
      droppedChunks: 2,
      droppedBytes: 10,
      byteCount: 0,
    });
    expect(store.snapshot().spool).toMatchObject({ usedBytes: 16, rotatedChunks: 3, rotatedBytes: 15 });
    expect(store.taskState('a', 'attempt-1')).toMatchObject({ status: 'running', outputTruncated: true });
  });

  it('never reports a rotated chunk as delivered, also when its acknowledgement comes late', () => {
    const store = folder.open({ spoolCapBytes: 10, terminalReserveBytes: 1 });
    start(store, task('a'));
    append(store, 'a', '11111');
    append(store, 'a', '22222');
    append(store, 'a', '33333');
    expect(store.ackMessage('a/attempt-1/stdout/1')).toBe(false);
    expect(store.appendOutputChunk({ ...task('a'), stream: 'stdout', sequence: 1, payload: '11111' }).duplicate).toBe(
      true,
    );
    append(store, 'a', '44444');
    expect(store.ackMessage('a/attempt-1/stdout/1-1')).toBe(false);
    expect(store.snapshot().truncations).toMatchObject([{ lastSequence: 2, droppedChunks: 2 }]);
    expect(store.ackMessage('a/attempt-1/stdout/1-2')).toBe(true);
    append(store, 'a', '55555');
    expect(pendingIds(store)).toEqual(['a/attempt-1/stdout/3-3', 'a/attempt-1/stdout/4', 'a/attempt-1/stdout/5']);
  });

  it('puts the marker before what follows it in a resend', () => {
    const store = folder.open({ spoolCapBytes: 10, terminalReserveBytes: 1 });
    start(store, task('a'));
    for (let n = 0; n < 5; n += 1) append(store, 'a', '12345');
    const from = (sequence: number) =>
      [...store.unackedMessagesFrom('a', 'attempt-1', 'stdout', sequence)].map(({ messageId }) => messageId);
    expect(from(3)).toEqual(['a/attempt-1/stdout/1-3', 'a/attempt-1/stdout/4', 'a/attempt-1/stdout/5']);
    expect(from(4)).toEqual(['a/attempt-1/stdout/4', 'a/attempt-1/stdout/5']);
  });

  it('tells an iteration that is held meanwhile what was rotated out, before the final and at the hole', () => {
    const store = folder.open({ spoolCapBytes: 40, terminalReserveBytes: 10 });
    start(store, task('a'));
    for (let n = 0; n < 4; n += 1) append(store, 'a', '1234567890');
    const all = store.unackedMessages()[Symbol.iterator]();
    const stream = store.unackedMessagesFrom('a', 'attempt-1', 'stdout', 1)[Symbol.iterator]();
    for (const one of [all, stream]) expect(one.next().value).toMatchObject({ sequence: 1 });
    for (let n = 0; n < 5; n += 1) append(store, 'a', '1234567890');
    store.recordFinal({ ...task('a'), status: 'completed' });
    const chunks = ['6', '7', '8', '9'].map((n) => `stdout/${n}`);
    expect(rest(all)).toEqual([...chunks, 'stdout/1-5', 'final']);
    expect(rest(stream)).toEqual(['stdout/1-5', ...chunks]);
  });

  it('counts bytes, not characters', () => {
    const store = folder.open({ spoolCapBytes: 9, terminalReserveBytes: 1 });
    start(store, task('a'));
    append(store, 'a', '€€');
    expect(store.snapshot().spool.usedBytes).toBe(6);
    append(store, 'a', '€€');
    expect(store.snapshot().spool).toMatchObject({ usedBytes: 6, rotatedChunks: 1, rotatedBytes: 6 });
  });

  it('rotates chunks out for a final, and changes no state of theirs but the flag', () => {
    const store = folder.open({ spoolCapBytes: 20, terminalReserveBytes: 10 });
    start(store, task('done'));
    append(store, 'done', 'x'.repeat(15));
    store.recordFinal({ ...task('done'), status: 'completed', payload: '12345' });
    store.recordReceived(task('other'));
    store.recordFinal({ ...task('other'), status: 'failed', payload: '1234567890' });
    expect(store.snapshot().spool).toMatchObject({ usedBytes: 15, finalBytes: 15, pendingFinals: 2, rotatedChunks: 1 });
    expect(store.taskState('done', 'attempt-1')).toMatchObject({ status: 'final', outputTruncated: true });
    expect([...store.unackedMessages()].find(({ messageId }) => messageId === 'done/attempt-1/final')).toMatchObject({
      outputTruncated: true,
      payloadTruncated: false,
    });
  });

  it('cuts a final larger than the reserve at a character, and says so', () => {
    const store = folder.open({ spoolCapBytes: 100, terminalReserveBytes: 8 });
    const cut = (taskId: string, payload: string | Uint8Array): Uint8Array => {
      store.recordReceived(task(taskId));
      const result = { ...task(taskId), status: 'completed', payload };
      expect(store.recordFinal(result).payloadTruncated).toBe(true);
      expect(store.recordFinal(result)).toMatchObject({ duplicate: true, payloadTruncated: true });
      const final = [...store.unackedMessages()].find((message) => message.taskId === taskId);
      expect(final).toMatchObject({ type: 'final', payloadTruncated: true, outputTruncated: true });
      return final?.payload ?? new Uint8Array();
    };
    expect(text({ payload: cut('two', 'äöüßä') })).toBe('äöüß');
    expect(text({ payload: cut('three', 'a€€€') })).toBe('a€€');
    expect(text({ payload: cut('four', '12345😀') })).toBe('12345');
    expect([...cut('binary', Buffer.alloc(12, 0x80))]).toEqual([...Buffer.alloc(8, 0x80)]);
  });

  it('refuses a task whose final might not fit: one reserve for each open task, and all stored finals', () => {
    const store = folder.open({ spoolCapBytes: 40, terminalReserveBytes: 10 });
    for (const taskId of ['a', 'b', 'c', 'd']) start(store, task(taskId));
    expect(thrownBy(() => store.recordReceived(task('e')))).toMatchObject({
      code: 'TERMINAL_RESERVE_UNAVAILABLE',
      message:
        'The spool of 40 bytes holds 0 bytes of finals and the reserves of 4 open tasks; one more reserve of 10 bytes does not fit',
    });
    expect(store.recordReceived(task('a'))).toMatchObject({ duplicate: true });
    expect(store.taskState('e', 'attempt-1')).toBeUndefined();
    // Chunks may use what is set aside until a final needs it.
    append(store, 'a', 'x'.repeat(40));
    expect(store.snapshot().spool.usedBytes).toBe(40);
    for (const taskId of ['a', 'b', 'c', 'd']) {
      store.recordFinal({ ...task(taskId), status: 'completed', payload: 'y'.repeat(10) });
    }
    expect(store.snapshot().spool).toMatchObject({ usedBytes: 40, finalBytes: 40, openTasks: 0 });
    expect(thrownBy(() => store.recordReceived(task('e'))).code).toBe('TERMINAL_RESERVE_UNAVAILABLE');
    store.ackMessage('b/attempt-1/final');
    expect(store.recordReceived(task('e')).status).toBe('received');
  });

  it('drops a chunk that the stored finals leave no room for, and refuses one larger than the cap', () => {
    const store = folder.open({ spoolCapBytes: 20, terminalReserveBytes: 10 });
    start(store, task('a'));
    store.recordReceived(task('b'));
    store.recordFinal({ ...task('b'), status: 'completed', payload: '1234567890' });
    append(store, 'a', 'small');
    append(store, 'a', 'x'.repeat(15));
    expect(pendingIds(store)).toEqual(['b/attempt-1/final', 'a/attempt-1/stdout/1-2']);
    expect(append(store, 'a', 'next').sequence).toBe(3);
    expect(thrownBy(() => append(store, 'a', 'x'.repeat(21))).code).toBe('CHUNK_TOO_LARGE');
  });

  it('bounds the number of chunks, so that empty ones do not fill the disk', () => {
    const store = folder.open({ maxPendingChunks: 3 });
    start(store, task('a'));
    for (let n = 0; n < 10; n += 1) append(store, 'a', '');
    expect(store.snapshot().outputRanges).toMatchObject([{ firstSequence: 8, lastSequence: 10, chunks: 3 }]);
    expect(store.snapshot().truncations).toMatchObject([
      { sequence: 1, lastSequence: 7, droppedChunks: 7, droppedBytes: 0 },
    ]);
  });

  it('comes back within a cap that was lowered, and never gives up finals for it', () => {
    const wide = folder.open({ spoolCapBytes: 100, terminalReserveBytes: 30 });
    start(wide, task('a'));
    start(wide, task('b'));
    wide.recordFinal({ ...task('b'), status: 'completed', payload: 'y'.repeat(30) });
    for (let n = 0; n < 7; n += 1) append(wide, 'a', '1234567890');
    wide.close();
    const narrow = folder.open({ spoolCapBytes: 40, terminalReserveBytes: 30 });
    expect(narrow.snapshot().spool).toMatchObject({ usedBytes: 40, finalBytes: 30, rotatedChunks: 6 });
    // The cap in force is what the finals of tasks that were taken in need.
    expect(narrow.snapshot().spool).toMatchObject({ capBytes: 60, reservedBytes: 30 });
    narrow.recordFinal({ ...task('a'), status: 'completed', payload: 'z'.repeat(30) });
    expect(narrow.snapshot().spool).toMatchObject({ finalBytes: 60, chunkBytes: 0, pendingFinals: 2, capBytes: 60 });
    expect(thrownBy(() => narrow.recordReceived(task('c'))).code).toBe('TERMINAL_RESERVE_UNAVAILABLE');
    narrow.ackMessage('a/attempt-1/final');
    narrow.ackMessage('b/attempt-1/final');
    expect(narrow.snapshot().spool.capBytes).toBe(40);
    expect(narrow.recordReceived(task('c')).status).toBe('received');
  });

  it('keeps the reserve that a task was received with, whatever the setting becomes', () => {
    const before = folder.open({ spoolCapBytes: 100, terminalReserveBytes: 10 });
    for (let n = 1; n <= 10; n += 1) start(before, task(`t${n}`));
    before.close();
    const raised = folder.open({ spoolCapBytes: 100, terminalReserveBytes: 50 });
    expect(raised.snapshot().spool).toMatchObject({ capBytes: 100, reservedBytes: 100 });
    expect(thrownBy(() => raised.recordReceived(task('new'))).code).toBe('TERMINAL_RESERVE_UNAVAILABLE');
    for (let n = 1; n <= 10; n += 1) {
      const final = raised.recordFinal({ ...task(`t${n}`), status: 'completed', payload: 'z'.repeat(50) });
      expect(final.payloadTruncated).toBe(true);
      expect(raised.snapshot().spool.usedBytes).toBe(10 * n);
    }
    for (let n = 1; n <= 5; n += 1) raised.ackMessage(`t${n}/attempt-1/final`);
    raised.recordReceived(task('new'));
    raised.close();
    const lowered = folder.open({ spoolCapBytes: 100, terminalReserveBytes: 5 });
    const result = { ...task('new'), status: 'completed', payload: 'z'.repeat(50) };
    expect(lowered.recordFinal(result).payloadTruncated).toBe(false);
    expect(lowered.snapshot().spool).toMatchObject({ usedBytes: 100, capBytes: 100, reservedBytes: 0 });
  });

  it('takes in no more tasks than there may be finals, however small they are', () => {
    const store = folder.open({ maxPendingTasks: 3 });
    for (const taskId of ['a', 'b', 'c']) start(store, task(taskId));
    store.recordFinal({ ...task('a'), status: 'completed' });
    expect(thrownBy(() => store.recordReceived(task('d')))).toMatchObject({
      code: 'TERMINAL_RESERVE_UNAVAILABLE',
      message: 'There are 2 open tasks and 1 finals to deliver; maxPendingTasks is 3',
    });
    expect(store.recordReceived(task('a')).duplicate).toBe(true);
    store.ackMessage('a/attempt-1/final');
    expect(store.recordReceived(task('d')).status).toBe('received');
  });

  it('rotates up to a 64th of the cap more than it has to, never the newest chunk', () => {
    const store = folder.open({ spoolCapBytes: 6400, terminalReserveBytes: 100 });
    start(store, task('a'));
    for (let n = 0; n < 640; n += 1) append(store, 'a', '1234567890');
    expect(store.snapshot().spool).toMatchObject({ usedBytes: 6400, rotatedChunks: 0 });
    append(store, 'a', '1234567890');
    expect(store.snapshot().spool).toMatchObject({ usedBytes: 6300, rotatedChunks: 11, pendingMessages: 631 });
    for (let n = 0; n < 10; n += 1) append(store, 'a', '1234567890');
    expect(store.snapshot().spool.rotatedChunks).toBe(11);
    append(store, 'a', 'x'.repeat(6350));
    expect(store.snapshot().spool).toMatchObject({ usedBytes: 6350, pendingChunks: 1, rotatedChunks: 651 });
    append(store, 'a', 'x'.repeat(6399));
    expect(store.snapshot()).toMatchObject({
      spool: { usedBytes: 6399, pendingChunks: 1 },
      truncations: [{ sequence: 1, lastSequence: 652, droppedChunks: 652 }],
    });
  });

  it('counts the chunks stored last at the next opening', () => {
    const store = folder.open({ maxPendingChunks: 5000 });
    start(store, task('a'));
    for (let n = 0; n < 1500; n += 1) append(store, 'a', 'x'.repeat(n % 7));
    const before = store.snapshot();
    store.close();
    const again = folder.open({ maxPendingChunks: 5000 });
    expect(again.snapshot()).toEqual(before);
    expect(append(again, 'a', 'next').sequence).toBe(1501);
    expect(again.ackMessage('a/attempt-1/stdout/1501')).toBe(true);
    expect(append(again, 'a', 'next').sequence).toBe(1502);
  });

  it('numbers a thousand streams of a task on after everything was delivered and the store reopened', () => {
    let store = folder.open();
    start(store, task('a'));
    const names = Array.from({ length: 1100 }, (_, n) => `stream-${n}`);
    for (const name of names) append(store, 'a', 'x', name);
    for (const id of pendingIds(store)) expect(store.ackMessage(id)).toBe(true);
    store.close();
    store = folder.open();
    for (const name of names) expect(append(store, 'a', 'y', name).sequence).toBe(2);
    store.recordFinal({ ...task('a'), status: 'completed' });
    expect(store.snapshot().spool).toMatchObject({ pendingChunks: 1100, usedBytes: 1100 });
  });

  it('tells its numbers after each change, and which streams lost chunks', () => {
    const told: SpoolStatus[] = [];
    const rotations: RotatedChunks[] = [];
    const store = folder.open({
      spoolCapBytes: 10,
      terminalReserveBytes: 2,
      telemetry: { spoolChanged: (spool) => told.push(spool), chunksRotated: (rotated) => rotations.push(rotated) },
    });
    expect(told).toEqual([store.snapshot().spool]);
    start(store, task('a'));
    append(store, 'a', '1234');
    append(store, 'a', '567', 'stderr');
    expect(told.at(-1)).toMatchObject({ pendingMessages: 2, usedBytes: 7, pendingFinals: 0, rotatedChunks: 0 });
    append(store, 'a', '1234567890');
    expect(told.at(-1)).toEqual(store.snapshot().spool);
    expect(told.at(-1)).toMatchObject({ pendingMessages: 3, usedBytes: 10, rotatedChunks: 2, rotatedBytes: 7 });
    expect(rotations).toEqual([
      { ...task('a'), stream: 'stdout', chunks: 1, bytes: 4 },
      { ...task('a'), stream: 'stderr', chunks: 1, bytes: 3 },
    ]);
    store.recordFinal({ ...task('a'), status: 'completed', payload: 'ok' });
    expect(told.at(-1)).toMatchObject({ pendingFinals: 1, finalBytes: 2, openTasks: 0 });
  });

  it('tells its numbers alone, the same as a snapshot and unchanged later, until it is closed', () => {
    const store = folder.open({ spoolCapBytes: 20, terminalReserveBytes: 4 });
    const seen = [store.spoolStatus()];
    const steps = [
      () => start(store, task('a')),
      () => append(store, 'a', '1234567890'),
      () => append(store, 'a', '12345678901'),
      () => store.recordFinal({ ...task('a'), status: 'completed', payload: 'ok' }),
      () => store.ackMessage('a/attempt-1/final'),
    ];
    for (const step of steps) {
      step();
      expect(store.spoolStatus()).toEqual(store.snapshot().spool);
      seen.push(store.spoolStatus());
    }
    expect(seen.map(({ pendingMessages, usedBytes }) => [pendingMessages, usedBytes])).toEqual([
      [0, 0],
      [0, 0],
      [1, 10],
      [2, 11],
      [3, 13],
      [2, 11],
    ]);
    store.close();
    expect(thrownBy(() => store.spoolStatus()).code).toBe('STORE_CLOSED');
  });

  it('goes on when a telemetry callback throws', () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const store = folder.open({
      telemetry: {
        spoolChanged: () => {
          throw new Error('exporter is down');
        },
      },
    });
    expect(store.recordReceived(task('a')).duplicate).toBe(false);
    expect(warn).toHaveBeenLastCalledWith(expect.stringContaining('exporter is down'));
    warn.mockRestore();
  });

  it('goes on when a telemetry callback throws what cannot be printed', () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const store = folder.open({
      telemetry: {
        spoolChanged: () => {
          throw Object.create(null);
        },
      },
    });
    expect(store.recordReceived(task('a')).duplicate).toBe(false);
    expect(warn).toHaveBeenLastCalledWith(expect.stringContaining('cannot be printed'));
    warn.mockRestore();
  });

  it('goes on when a telemetry callback rejects', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const store = folder.open({ telemetry: { spoolChanged: () => Promise.reject(new Error('exporter is away')) } });
    await eventually(() => warn.mock.calls.some(([message]) => String(message).includes('exporter is away')));
    expect(store.recordReceived(task('a')).duplicate).toBe(false);
    warn.mockRestore();
  });

  it('takes calls from a telemetry callback', () => {
    const sequences: number[] = [];
    let calls = 0;
    const store: LocalTaskStore = folder.open({
      spoolCapBytes: 20,
      terminalReserveBytes: 1,
      telemetry: {
        spoolChanged: ({ pendingChunks }) => {
          calls += Number(pendingChunks > 0);
          if (pendingChunks > 0 && calls <= 8) sequences.push(append(store, 'a', '12345').sequence);
        },
      },
    });
    start(store, task('a'));
    expect(append(store, 'a', '12345').sequence).toBe(1);
    expect(sequences.toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    expect(append(store, 'a', '12345').sequence).toBe(10);
    expect(store.snapshot().outputRanges).toMatchObject([{ firstSequence: 7, lastSequence: 10, chunks: 4 }]);
  });

  it('tells nothing when nothing has changed', () => {
    const told: SpoolStatus[] = [];
    const store = folder.open({ telemetry: { spoolChanged: (spool) => told.push(spool) } });
    start(store, task('a'));
    store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: 'x', sequence: 1 });
    expect(told).toHaveLength(3);
    store.recordReceived(task('a'));
    store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: 'x', sequence: 1 });
    expect(store.ackMessage('a/attempt-1/stdout/2')).toBe(false);
    expect(told).toHaveLength(3);
  });

  it('takes no task in whose final would not fit the limit of the file', () => {
    const limits = { spoolCapBytes: 3_000_000, maxFileBytes: 3_000_000, terminalReserveBytes: 200_000 };
    const store = folder.open(limits);
    const taken: string[] = [];
    const error = thrownBy(() => {
      for (let n = 1; n <= 20; n += 1) {
        start(store, task(`t${n}`));
        taken.push(`t${n}`);
      }
    });
    expect(error.code).toBe('TERMINAL_RESERVE_UNAVAILABLE');
    expect(taken.length).toBeGreaterThan(10);
    for (const id of taken) store.recordFinal({ ...task(id), status: 'completed', payload: Buffer.alloc(200_000, 65) });
    expect(store.snapshot().spool.pendingFinals).toBe(taken.length);
    store.close();
    expect(thrownBy(() => folder.open({ ...limits, maxFileBytes: 300_000 })).code).toBe('INVALID_SETTING');
  });

  it('takes every final of the tasks that a limited file has taken in, with the longest names', () => {
    const limits = { spoolCapBytes: 500_000, maxFileBytes: 1_000_000, terminalReserveBytes: 300 };
    const store = folder.open(limits);
    const taken: string[] = [];
    const error = thrownBy(() => {
      for (let n = 1; n <= 2000; n += 1) {
        start(store, task(longName(n)));
        taken.push(longName(n));
      }
    });
    expect(error.code).toBe('TERMINAL_RESERVE_UNAVAILABLE');
    expect(taken.length).toBeGreaterThan(20);
    for (const id of taken) {
      store.recordFinal({ ...task(id), status: '\u754c'.repeat(255), payload: Buffer.alloc(300, 65) });
    }
    for (const id of pendingIds(store)) expect(store.ackMessage(id)).toBe(true);
    // Room for new ones, by forgetting those early.
    for (let n = 3000; n < 3250; n += 1) {
      start(store, task(longName(n)));
      store.recordFinal({ ...task(longName(n)), status: 'completed' });
      for (const id of pendingIds(store)) expect(store.ackMessage(id)).toBe(true);
    }
    expect(store.taskState(longName(1), 'attempt-1')).toBeUndefined();
    for (const id of ['b', 'c']) start(store, task(id));
    store.close();
    expect(folder.open(limits).markInterruptedRunningTasks()).toHaveLength(2);
  });
});

const longName = (n: number): string => `${'\u754c'.repeat(250)}${n}`;

/** Ids without task and attempt of what an iteration still yields. */
function rest(messages: Iterator<OutboxMessage>): string[] {
  const ids: string[] = [];
  for (let next = messages.next(); next.done !== true; next = messages.next()) {
    ids.push(next.value.messageId.slice('a/attempt-1/'.length));
  }
  return ids;
}
