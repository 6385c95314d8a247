import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { createTask, createTestStores, startTask, type TestStores } from '../support/stores.js';

describe('waiting for a log to grow', () => {
  let opened: OpenTestDatabase;
  let stores: TestStores;
  let other: TestStores;

  beforeAll(async () => {
    opened = await openTestDatabase();
    stores = createTestStores(opened.dataSource, { streams: { backstopPollMs: 40 } });
    other = createTestStores(opened.dataSource);
  });
  afterAll(async () => {
    await stores.close();
    await other.close();
    await opened.close();
  });

  const seqs = (events: readonly { seq: number }[]): number[] => events.map(({ seq }) => seq);

  it('ends at once for events that are there, within the limit', async () => {
    const { taskId, attempt } = await startTask(stores);
    for (const progress of [1, 2, 3]) {
      await stores.events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress }, attempt });
    }
    expect(seqs(await stores.events.waitAfter(taskId, 1, { limit: 2, timeoutMs: 60_000 }))).toEqual([2, 3]);
  });

  it('finds by the backstop poll what another process appended unheard', async () => {
    const { taskId, attempt } = await startTask(stores);
    const waiting = stores.events.waitAfter(taskId, 1, { limit: 10, timeoutMs: 60_000 });
    await other.events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress: 1 }, attempt });
    expect(seqs(await waiting)).toEqual([2]);
  });

  it('takes woken events without a gap and reads the log where one is missing', async () => {
    const { taskId, attempt } = await startTask(stores);
    const patient = createTestStores(opened.dataSource, { streams: { backstopPollMs: 60_000 } });
    const waiting = patient.events.waitAfter(taskId, 1, { limit: 10, timeoutMs: 60_000 });
    await eventually(() => patient.wakeUps.subscribers === 1);
    // In one transaction: a first read that comes late must not find one without the other.
    await other.registry.transaction(async (manager) => {
      await other.events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress: 1 }, attempt }, { manager });
      await other.events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress: 2 }, attempt }, { manager });
    });
    const [, , third] = await other.events.listAfter(taskId, 0, 10);
    patient.wakeUps.publishEvents(third === undefined ? [] : [third]);
    expect(seqs(await waiting)).toEqual([2, 3]);
    await patient.close();
  });

  it('shows each who waits the events of its own task only, however many tasks one flush is about', async () => {
    const [one, another] = [await startTask(stores), await startTask(stores)];
    const patient = createTestStores(opened.dataSource, { streams: { backstopPollMs: 60_000 } });
    const wait = ({ taskId }: { taskId: string }) =>
      patient.events.waitAfter(taskId, 1, { limit: 10, timeoutMs: 60_000 });
    const waiting = [wait(one), wait(another)];
    await eventually(() => patient.wakeUps.subscribers === 1);
    const appended = [one, another, one].map(({ taskId, attempt }, progress) =>
      patient.events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress }, attempt }),
    );
    await Promise.all(appended);
    const [first, second] = await Promise.all(waiting);
    expect(new Set(first?.map(({ taskId }) => taskId))).toEqual(new Set([one.taskId]));
    expect(second?.map(({ taskId, seq }) => [taskId, seq])).toEqual([[another.taskId, 2]]);
    await patient.close();
  });

  it('hears a hint', async () => {
    const { taskId } = await startTask(stores);
    const patient = createTestStores(opened.dataSource, { streams: { backstopPollMs: 60_000 } });
    const waiting = patient.events.waitAfter(taskId, 1, { limit: 10, timeoutMs: 60_000 });
    await patient.registry.transaction((manager) =>
      patient.events.append({ taskId, type: 'TASK_CANCELLED', payload: { reason: 'r' }, attempt: null }, { manager }),
    );
    expect(seqs(await waiting)).toEqual([2]);
    await patient.close();
  });

  it('ends for everybody who waits, and leaves no subscription behind', async () => {
    const { taskId, attempt } = await startTask(stores);
    const waiting = Array.from({ length: 50 }, () =>
      stores.events.waitAfter(taskId, 1, { limit: 10, timeoutMs: 60_000 }),
    );
    expect(stores.wakeUps.subscribers).toBe(1);
    await stores.events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress: 1 }, attempt });
    for (const events of await Promise.all(waiting)) expect(seqs(events)).toEqual([2]);
    expect(stores.wakeUps.subscribers).toBe(0);
  });

  it('ends without waiting for an unknown task, an ended one and a signal that is aborted already', async () => {
    const { taskId } = await createTask(stores);
    const long = { limit: 10, timeoutMs: 60_000 };
    expect(await stores.events.waitAfter('unknown', 0, long)).toEqual([]);
    expect(await stores.events.waitAfter('0199d1b0-0000-7000-8000-00000000000f', 0, long)).toEqual([]);
    expect(await stores.events.waitAfter(taskId, 0, { ...long, signal: AbortSignal.abort() })).toEqual([]);
    expect(await stores.events.waitAfter(taskId, 0, { limit: 10, timeoutMs: 0 })).toEqual([]);
    await stores.events.append({ taskId, type: 'TASK_CANCELLED', payload: { reason: 'r' }, attempt: null });
    expect(await stores.events.waitAfter(taskId, 1, long)).toEqual([]);
    expect(stores.wakeUps.subscribers).toBe(0);
  });
});
