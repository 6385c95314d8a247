import { StoreFolder, cycle, start, task, text, thrownBy, pendingIds } from './support/stores.js';
import type { LocalTaskStore } from '@taskbridge/local-store';

describe('a local task store', () => {
  let folder: StoreFolder;
  let store: LocalTaskStore;

  beforeEach(() => {
    folder = new StoreFolder();
    store = folder.open();
  });

  afterEach(() => folder.remove());

  it('takes a task once and answers duplicates with what has become of it', () => {
    const first = store.recordReceived(task('a'));
    expect(first).toMatchObject({ taskId: 'a', executionAttemptId: 'attempt-1', status: 'received', duplicate: false });
    expect(store.recordReceived(task('a'))).toEqual({ ...first, duplicate: true });
    store.recordStarted('a', 'attempt-1');
    expect(store.recordReceived(task('a'))).toMatchObject({ status: 'running', duplicate: true });
    expect(store.recordReceived(task('a', 'attempt-2'))).toMatchObject({ status: 'received', duplicate: false });
    expect(store.snapshot().spool.openTasks).toBe(2);
  });

  it('starts a received task once', () => {
    expect(thrownBy(() => store.recordStarted('a', 'attempt-1')).code).toBe('TASK_UNKNOWN');
    start(store, task('a'));
    expect(thrownBy(() => store.recordStarted('a', 'attempt-1'))).toMatchObject({
      code: 'TASK_STATE_CONFLICT',
      status: 'running',
      message: 'Task a, attempt attempt-1, is running; it must be received',
    });
  });

  it('forgets a discarded task, and only one that has not started', () => {
    expect(store.discardReceived('a', 'attempt-1')).toBe(false);
    store.recordReceived(task('a'));
    expect(store.discardReceived('a', 'attempt-1')).toBe(true);
    expect(store.taskState('a', 'attempt-1')).toBeUndefined();
    expect(store.snapshot().spool.openTasks).toBe(0);
    start(store, task('a'));
    expect(thrownBy(() => store.discardReceived('a', 'attempt-1')).code).toBe('TASK_STATE_CONFLICT');
    store.recordFinal({ ...task('a'), status: 'completed' });
    expect(thrownBy(() => store.discardReceived('a', 'attempt-1')).code).toBe('TASK_STATE_CONFLICT');
  });

  it('ends a task with one final result and keeps the first', () => {
    start(store, task('a'));
    const result = { ...task('a'), status: 'completed', exitCode: 0, payload: 'done', errorTruncated: true };
    expect(store.recordFinal(result)).toEqual({
      messageId: 'a/attempt-1/final',
      duplicate: false,
      payloadTruncated: false,
    });
    expect(store.recordFinal(result)).toMatchObject({ messageId: 'a/attempt-1/final', duplicate: true });
    for (const other of [{ status: 'failed' }, { exitCode: 1 }, { payload: 'do' }, { outputTruncated: true }]) {
      expect(thrownBy(() => store.recordFinal({ ...result, ...other })).code).toBe('FINAL_CONFLICT');
    }
    expect([...store.unackedMessages()].map((message) => ({ ...message, payload: text(message) }))).toEqual([
      {
        type: 'final',
        messageId: 'a/attempt-1/final',
        ...task('a'),
        status: 'completed',
        exitCode: 0,
        outputTruncated: false,
        errorTruncated: true,
        payloadTruncated: false,
        byteCount: 4,
        payload: 'done',
      },
    ]);
    store.ackMessage('a/attempt-1/final');
    expect(store.recordFinal(result).duplicate).toBe(true);
    expect(thrownBy(() => store.recordFinal({ ...result, payload: 'other' })).code).toBe('FINAL_CONFLICT');
    expect(pendingIds(store)).toEqual([]);
  });

  it('ends a task that never started', () => {
    store.recordReceived(task('a'));
    store.recordFinal({ ...task('a'), status: 'cancelled' });
    expect(store.taskState('a', 'attempt-1')).toMatchObject({
      status: 'final',
      finalStatus: 'cancelled',
      exitCode: null,
      startedAtMs: null,
    });
    expect(thrownBy(() => store.recordFinal({ ...task('b'), status: 'failed' })).code).toBe('TASK_UNKNOWN');
  });

  it('never takes a finished task back to running', () => {
    start(store, task('a'));
    store.recordFinal({ ...task('a'), status: 'completed' });
    expect(thrownBy(() => store.recordStarted('a', 'attempt-1')).code).toBe('TASK_STATE_CONFLICT');
    const late = { ...task('a'), stream: 'stdout', payload: 'late' };
    expect(thrownBy(() => store.appendOutputChunk(late))).toMatchObject({
      code: 'TASK_STATE_CONFLICT',
      status: 'final',
    });
    expect(store.markInterruptedRunningTasks()).toEqual([]);
    expect(store.taskState('a', 'attempt-1')?.status).toBe('final');
    expect(pendingIds(store)).toEqual(['a/attempt-1/final']);
  });

  it('numbers the chunks of each stream from 1 and refuses holes', () => {
    start(store, task('a'));
    const stdout = { ...task('a'), stream: 'stdout', payload: 'x' };
    expect(store.appendOutputChunk(stdout)).toEqual({
      messageId: 'a/attempt-1/stdout/1',
      sequence: 1,
      duplicate: false,
    });
    expect(store.appendOutputChunk({ ...stdout, sequence: 2 }).sequence).toBe(2);
    expect(store.appendOutputChunk({ ...stdout, stream: 'stderr' }).sequence).toBe(1);
    expect(thrownBy(() => store.appendOutputChunk({ ...stdout, sequence: 4 }))).toMatchObject({
      code: 'SEQUENCE_CONFLICT',
      sequence: 4,
      expectedSequence: 3,
    });
    store.recordReceived(task('b'));
    const early = { ...stdout, taskId: 'b' };
    expect(thrownBy(() => store.appendOutputChunk(early))).toMatchObject({ status: 'received' });
    expect(thrownBy(() => store.appendOutputChunk({ ...stdout, taskId: 'c' })).code).toBe('TASK_UNKNOWN');
  });

  it('stores a repeated sequence number once, also after it was acknowledged', () => {
    start(store, task('a'));
    const chunk = { ...task('a'), stream: 'stdout', sequence: 1, payload: 'same' };
    store.appendOutputChunk(chunk);
    expect(store.appendOutputChunk(chunk).duplicate).toBe(true);
    expect(thrownBy(() => store.appendOutputChunk({ ...chunk, payload: 'other' }))).toMatchObject({
      code: 'SEQUENCE_CONFLICT',
      expectedSequence: 2,
    });
    store.appendOutputChunk({ ...chunk, sequence: 2 });
    // The higher number is acknowledged before the lower: neither may be used again.
    store.ackMessage('a/attempt-1/stdout/2');
    store.ackMessage('a/attempt-1/stdout/1');
    expect(store.appendOutputChunk({ ...chunk, sequence: 2 }).duplicate).toBe(true);
    expect(store.appendOutputChunk(chunk).duplicate).toBe(true);
    expect(pendingIds(store)).toEqual([]);
    const { sequence } = store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: 'next' });
    expect(sequence).toBe(3);
  });

  it('keeps bytes as they are: half characters, zeros and nothing', () => {
    start(store, task('a'));
    const euro = Buffer.from('€');
    const payloads = [euro.subarray(0, 2), euro.subarray(2), Buffer.from([0, 255, 0]), Buffer.alloc(0), 'äöü'];
    for (const payload of payloads) store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload });
    const stored = [...store.unackedMessages()];
    expect(stored.map(({ byteCount }) => byteCount)).toEqual([2, 1, 3, 0, 6]);
    expect(Buffer.concat(stored.map(({ payload }) => payload))).toEqual(
      Buffer.concat(payloads.map((p) => Buffer.from(p))),
    );
    expect(store.snapshot().spool).toMatchObject({ usedBytes: 12, chunkBytes: 12, pendingChunks: 5 });
  });

  it('hands messages out oldest first, whatever is stored and acknowledged meanwhile', () => {
    start(store, task('a'));
    start(store, task('b'));
    for (const taskId of ['b', 'a', 'b']) store.appendOutputChunk({ ...task(taskId), stream: 'out', payload: taskId });
    store.recordFinal({ ...task('b'), status: 'completed' });
    const messages = store.unackedMessages();
    const seen: string[] = [];
    for (const { messageId } of messages) {
      seen.push(messageId);
      if (seen.length === 1) store.appendOutputChunk({ ...task('a'), stream: 'out', payload: 'more' });
      expect(store.ackMessage(messageId)).toBe(true);
    }
    expect(seen).toEqual([
      'b/attempt-1/out/1',
      'a/attempt-1/out/1',
      'b/attempt-1/out/2',
      'b/attempt-1/final',
      'a/attempt-1/out/2',
    ]);
    expect([...messages]).toEqual([]);
  });

  it('hands out one stream from a sequence number on', () => {
    start(store, task('a'));
    for (let n = 1; n <= 12; n += 1) {
      store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: `o${n}` });
      store.appendOutputChunk({ ...task('a'), stream: 'stderr', payload: `e${n}` });
    }
    store.recordFinal({ ...task('a'), status: 'completed' });
    const from = (stream: string, sequence: number) =>
      [...store.unackedMessagesFrom('a', 'attempt-1', stream, sequence)].map(text);
    expect(from('stdout', 9)).toEqual(['o9', 'o10', 'o11', 'o12']);
    expect(from('stderr', 12)).toEqual(['e12']);
    expect(from('stdout', 13)).toEqual([]);
    expect(from('other', 1)).toEqual([]);
    expect([...store.unackedMessagesFrom('b', 'attempt-1', 'stdout', 1)]).toEqual([]);
  });

  it('ignores acknowledgements of what is not pending', () => {
    start(store, task('a'));
    store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: 'x' });
    const never = [
      '',
      'x',
      'a/attempt-1/final',
      'a/attempt-1/stdout/2',
      'a/attempt-1/stdout/1-1',
      '%/a/final',
      'a/b/c/d/e',
    ];
    for (const id of [...never, 'a/attempt-1/stdout/01', 'b/attempt-1/stdout/1'])
      expect(store.ackMessage(id)).toBe(false);
    expect(store.ackMessage('a/attempt-1/stdout/1')).toBe(true);
    expect(store.ackMessage('a/attempt-1/stdout/1')).toBe(false);
    expect(store.snapshot().spool).toMatchObject({ usedBytes: 0, pendingMessages: 0 });
  });

  it('keeps apart ids that look alike when they are joined', () => {
    for (const [taskId, attempt] of [
      ['a/b', 'c'],
      ['a', 'b/c'],
      ['ä:%2F', '../final'],
    ] as const) {
      start(store, task(taskId, attempt));
      store.appendOutputChunk({ ...task(taskId, attempt), stream: 'final/1', payload: '' });
      store.recordFinal({ ...task(taskId, attempt), status: 'completed' });
    }
    const ids = pendingIds(store);
    expect(new Set(ids).size).toBe(6);
    for (const id of ids) expect(store.ackMessage(id)).toBe(true);
  });

  it('lists everything unfinished in its snapshot', () => {
    store.recordReceived(task('waits'));
    start(store, task('runs'));
    start(store, task('ended'));
    for (let n = 0; n < 3; n += 1) store.appendOutputChunk({ ...task('runs'), stream: 'stdout', payload: 'abc' });
    store.ackMessage('runs/attempt-1/stdout/1');
    store.recordFinal({ ...task('ended'), status: 'failed', exitCode: 3, payload: 'why' });
    const { running, received, unackedFinals, outputRanges, truncations, spool } = store.snapshot();
    expect(running.map(({ taskId }) => taskId)).toEqual(['runs']);
    expect(received.map(({ taskId }) => taskId)).toEqual(['waits']);
    expect(unackedFinals).toEqual([
      expect.objectContaining({ messageId: 'ended/attempt-1/final', status: 'failed', exitCode: 3, byteCount: 3 }),
    ]);
    expect(outputRanges).toEqual([{ ...task('runs'), stream: 'stdout', firstSequence: 2, lastSequence: 3, chunks: 2 }]);
    expect(truncations).toEqual([]);
    expect(spool).toEqual({
      capBytes: 67_108_864,
      terminalReserveBytes: 1_048_576,
      usedBytes: 9,
      chunkBytes: 6,
      finalBytes: 3,
      openTasks: 2,
      reservedBytes: 2_097_152,
      pendingMessages: 3,
      pendingChunks: 2,
      pendingFinals: 1,
      rotatedChunks: 0,
      rotatedBytes: 0,
    });
  });

  it('finds everything again after it was closed', () => {
    store.recordReceived(task('waits'));
    start(store, task('runs'));
    store.appendOutputChunk({ ...task('runs'), stream: 'stdout', payload: 'abc' });
    const before = store.snapshot();
    store.close();
    store.close();
    expect(thrownBy(() => store.snapshot()).code).toBe('STORE_CLOSED');
    for (let n = 0; n < 200; n += 1) {
      expect(thrownBy(() => store.recordReceived(task('b'))).code).toBe('STORE_CLOSED');
    }
    expect(folder.open().snapshot()).toEqual(before);
  });

  it('remembers an ended task for the retention, and forgets it only when all of it was delivered', () => {
    store.close();
    store = folder.open({ finishedTaskRetentionMs: 0 });
    for (const taskId of ['delivered', 'pending']) {
      start(store, task(taskId));
      store.recordFinal({ ...task(taskId), status: 'completed' });
    }
    store.ackMessage('delivered/attempt-1/final');
    const acknowledgedAt = Date.now();
    while (Date.now() <= acknowledgedAt) continue;
    store.recordReceived(task('next'));
    expect(store.taskState('delivered', 'attempt-1')).toBeUndefined();
    expect(store.taskState('pending', 'attempt-1')?.status).toBe('final');
    store.close();
    expect(folder.open().recordReceived(task('pending')).duplicate).toBe(true);
  });

  it('refuses arguments that no receiver could take, and writes nothing', () => {
    start(store, task('a'));
    const chunk = { ...task('a'), stream: 'stdout', payload: 'x' };
    const final = { ...task('a'), status: 'completed' };
    const refused = [
      () => store.recordReceived(task('')),
      () => store.recordReceived(task('x'.repeat(256))),
      () => store.recordReceived(task('a\0b')),
      () => store.recordReceived(task('\ud800')),
      () => store.recordReceived({ taskId: 'b' } as never),
      () => store.appendOutputChunk({ ...chunk, stream: '' }),
      () => store.appendOutputChunk({ ...chunk, sequence: 0 }),
      () => store.appendOutputChunk({ ...chunk, sequence: 1.5 }),
      () => store.appendOutputChunk({ ...chunk, payload: 7 as never }),
      () => store.recordFinal({ ...final, status: '' }),
      () => store.recordFinal({ ...final, exitCode: 0.5 }),
      () => store.unackedMessagesFrom('a', 'attempt-1', 'stdout', -1),
    ];
    for (const call of refused) expect(thrownBy(call).code).toBe('INVALID_ARGUMENT');
    expect(store.snapshot().spool).toMatchObject({ openTasks: 1, pendingMessages: 0 });
  });

  it.each([undefined, null, 7, 10n, 'text', true, Symbol('s'), () => 'text', [], cycle(), Object.create(null)])(
    'names the argument that may not be %p',
    (value) => {
      start(store, task('a'));
      const chunk = { ...task('a'), stream: 'stdout', payload: 'x' };
      const final = { ...task('a'), status: 'completed' };
      const is = (...types: string[]) => types.includes(value === null ? 'null' : typeof value);
      const calls: Record<string, [fits: boolean, call: (value: never) => unknown]> = {
        'task|taskId': [false, (wrong) => store.recordReceived(wrong)],
        taskId: [is('string'), (taskId) => store.recordReceived({ ...task('b'), taskId })],
        executionAttemptId: [is('string'), (id) => store.recordStarted('a', id)],
        'chunk|taskId': [false, (wrong) => store.appendOutputChunk(wrong)],
        stream: [is('string'), (stream) => store.appendOutputChunk({ ...chunk, stream })],
        sequence: [is('undefined', 'number'), (sequence) => store.appendOutputChunk({ ...chunk, sequence })],
        payload: [is('string'), (payload) => store.appendOutputChunk({ ...chunk, payload })],
        'result|taskId': [false, (wrong) => store.recordFinal(wrong)],
        status: [is('string'), (status) => store.recordFinal({ ...final, status })],
        exitCode: [is('undefined', 'null', 'number'), (exitCode) => store.recordFinal({ ...final, exitCode })],
        outputTruncated: [
          is('undefined', 'boolean'),
          (outputTruncated) => store.recordFinal({ ...final, outputTruncated }),
        ],
        errorTruncated: [
          is('undefined', 'boolean'),
          (errorTruncated) => store.recordFinal({ ...final, errorTruncated }),
        ],
        messageId: [is('string'), (id) => store.ackMessage(id)],
      };
      for (const [argument, [fits, call]] of Object.entries(calls)) {
        if (fits) continue;
        expect(thrownBy(() => call(value as never))).toMatchObject({
          code: 'INVALID_ARGUMENT',
          message: expect.stringMatching(new RegExp(`^(?:${argument}) must be `)),
        });
      }
      const endPayload = (payload: never) => () => store.recordFinal({ ...final, payload });
      if (!is('undefined', 'string')) expect(thrownBy(endPayload(value as never)).message).toMatch(/^payload must be /);
      expect(store.snapshot().spool).toMatchObject({ openTasks: 1, pendingMessages: 0 });
    },
  );
});
