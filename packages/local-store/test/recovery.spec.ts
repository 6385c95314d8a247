import path from 'node:path';
import { writeFileSync } from 'node:fs';
import { recoverLocalTaskStore, type LocalTaskStoreRecovery } from '@taskbridge/local-store';
import { eventually } from '../../../test/support/eventually.js';
import { StoreFolder, pendingIds, start, task, thrownBy } from './support/stores.js';

describe('recovery', () => {
  let folder: StoreFolder;
  let recovery: LocalTaskStoreRecovery | undefined;

  beforeEach(() => {
    folder = new StoreFolder();
  });

  afterEach(() => {
    recovery?.close();
    folder.remove();
  });

  const env = () => ({ TASKBRIDGE_LOCAL_STORE_PATH: folder.file });

  const closed = () => ({
    code: 'STORE_CLOSED',
    message: `The local task store ${folder.file} is closed`,
  });

  it('ends each running task once as interrupted, behind its output, and leaves the others alone', () => {
    let store = folder.open();
    start(store, task('runs'));
    store.appendOutputChunk({ ...task('runs'), stream: 'stdout', payload: 'half' });
    store.recordReceived(task('waits'));
    start(store, task('ended'));
    store.recordFinal({ ...task('ended'), status: 'completed' });
    store.close();
    for (let restart = 0; restart < 3; restart += 1) {
      store = folder.open();
      const interrupted = store.markInterruptedRunningTasks();
      expect(interrupted.map(({ taskId, status }) => [taskId, status])).toEqual(
        restart === 0 ? [['runs', 'interrupted']] : [],
      );
      expect(store.markInterruptedRunningTasks()).toEqual([]);
      expect(pendingIds(store)).toEqual(['runs/attempt-1/stdout/1', 'ended/attempt-1/final', 'runs/attempt-1/final']);
      store.close();
    }
    store = folder.open();
    expect(store.snapshot().received.map(({ taskId }) => taskId)).toEqual(['waits']);
    expect([...store.unackedMessages()].at(-1)).toMatchObject({
      type: 'final',
      status: 'interrupted',
      exitCode: null,
      byteCount: 0,
    });
    const late = { ...task('runs'), status: 'completed' };
    expect(thrownBy(() => store.recordFinal(late))).toMatchObject({
      code: 'TASK_STATE_CONFLICT',
      status: 'interrupted',
    });
    store.ackMessage('runs/attempt-1/final');
    expect(store.markInterruptedRunningTasks()).toEqual([]);
    expect(store.recordReceived(task('runs'))).toMatchObject({ status: 'interrupted', duplicate: true });
  });

  it('runs in the background: nothing waits for it but assignments', async () => {
    const before = folder.open();
    start(before, task('runs'));
    before.close();
    recovery = recoverLocalTaskStore({ env: env() });
    expect(recovery.status).toBe('recovering');
    const store = await recovery.whenReady();
    expect(recovery.status).toBe('ready');
    expect(recovery.interrupted.map(({ taskId }) => taskId)).toEqual(['runs']);
    expect(store.recordReceived(task('next')).duplicate).toBe(false);
  });

  it('waits for another process to end without blocking this one', async () => {
    const other = folder.open();
    start(other, task('runs'));
    recovery = recoverLocalTaskStore({ env: env() });
    let heartbeats = 0;
    const heart = setInterval(() => (heartbeats += 1), 5);
    await eventually(() => heartbeats >= 20);
    expect(recovery.status).toBe('recovering');
    other.close();
    const store = await recovery.whenReady();
    clearInterval(heart);
    expect(store.taskState('runs', 'attempt-1')?.status).toBe('interrupted');
  });

  it('gives up on a lock after the wait, and tells why to whoever asks', async () => {
    folder.open();
    recovery = recoverLocalTaskStore({ env: env(), lockWaitMs: 0 });
    await expect(recovery.whenReady()).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    expect(recovery.status).toBe('failed');
  });

  it('stops nothing when it fails and nobody asks', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    writeFileSync(path.join(folder.folder, 'file'), '');
    const failing = [
      recoverLocalTaskStore({ env: {} }),
      recoverLocalTaskStore({ env: { TASKBRIDGE_STATE_PATH: path.join(folder.folder, 'file') } }),
    ];
    await eventually(() => failing.every(({ status }) => status === 'failed'));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
    await expect(failing[0]?.whenReady()).rejects.toMatchObject({ code: 'INVALID_SETTING' });
    await expect(failing[1]?.whenReady()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it.each([null, 7, 'text', [], { lockWaitMs: Number.NaN }, { lockWaitMs: -1 }, { lockWaitMs: 10n }, { env: null }])(
    'fails with the name of what is wrong in %p',
    async (options) => {
      recovery = recoverLocalTaskStore(options as never);
      const isObject = typeof options === 'object' && options !== null && !Array.isArray(options);
      const [wrong = ''] = isObject ? Object.keys(options) : ['options'];
      await expect(recovery.whenReady()).rejects.toMatchObject({
        code: 'INVALID_SETTING',
        message: expect.stringContaining(wrong),
      });
      expect(recovery.status).toBe('failed');
    },
  );

  it('ends when it is closed before the store was free', async () => {
    folder.open();
    recovery = recoverLocalTaskStore({ env: env() });
    recovery.close();
    expect(recovery.status).toBe('closed');
    await expect(recovery.whenReady()).rejects.toMatchObject(closed());
    expect(recovery.status).toBe('closed');
  });

  it('is over when it is closed: whoever asks is told so, and the file is free', async () => {
    recovery = recoverLocalTaskStore({ env: env() });
    const asked = recovery.whenReady();
    const store = await asked;
    recovery.close();
    recovery.close();
    expect(recovery.status).toBe('closed');
    await expect(recovery.whenReady()).rejects.toMatchObject(closed());
    expect(thrownBy(() => store.recordReceived(task('a')))).toMatchObject(closed());
    expect(folder.open().snapshot().running).toEqual([]);
  });

  it('keeps the reason of its failure when it is closed, and rejects for nobody who did not ask', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    const failed = recoverLocalTaskStore({ env: {} });
    const ready = recoverLocalTaskStore({ env: env() });
    await eventually(() => failed.status === 'failed' && ready.status === 'ready');
    failed.close();
    ready.close();
    expect([failed.status, ready.status]).toEqual(['failed', 'closed']);
    await expect(failed.whenReady()).rejects.toMatchObject({ code: 'INVALID_SETTING' });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
});
