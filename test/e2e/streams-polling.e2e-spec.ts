import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import type { PollEventsQuery, PollEventsResult } from '../../lib/services/commands.js';
import { TaskPollingService } from '../../lib/services/task-polling.service.js';
import { StreamDrain } from '../../lib/streams/index.js';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { NOTHING_LEFT, StreamApp } from '../support/stream-app.js';

const ids = ({ events }: PollEventsResult) => events.map(({ eventId }) => eventId);

describe('polling for events', () => {
  let database: { url: string };
  let closeDatabase: () => Promise<void>;
  let app: StreamApp;

  beforeAll(async () => {
    ({ database, close: closeDatabase } = await openTestDatabase());
    app = await StreamApp.open(database);
  });

  afterEach(() => expect(app.leftovers()).toEqual(NOTHING_LEFT));

  afterAll(async () => {
    await app.close();
    await closeDatabase();
  });

  function poll(taskId: string, query: Partial<PollEventsQuery> = {}, on = app): Promise<PollEventsResult> {
    const asked = { taskId, afterSeq: 0, waitTimeoutMs: 10_000, maxEvents: 100, ...query };
    return on.get(TaskPollingService).poll(asked);
  }

  it('returns what follows the cursor at once, and says whether more exists', async () => {
    const taskId = await app.taskWith(3);
    const [all, exactly, some, rest] = await Promise.all([
      poll(taskId),
      poll(taskId, { maxEvents: 3 }),
      poll(taskId, { maxEvents: 2 }),
      poll(taskId, { afterSeq: 2, maxEvents: 1 }),
    ]);
    expect([ids(all), all.hasMore, all.nextAfterEventId]).toEqual([['1-0', '2-0', '3-0'], false, '3-0']);
    expect([ids(exactly), exactly.hasMore]).toEqual([['1-0', '2-0', '3-0'], false]);
    expect([ids(some), some.hasMore, some.nextAfterEventId]).toEqual([['1-0', '2-0'], true, '2-0']);
    expect([ids(rest), rest.hasMore]).toEqual([['3-0'], false]);
    expect(all.events[1]).toMatchObject({ type: 'TASK_PROGRESS', taskId, payload: { progress: 0 } });
  });

  it('waits for the first event', async () => {
    const taskId = await app.createTask();
    const waiting = [poll(taskId), poll(taskId)];
    await eventually(() => app.leftovers().drainables === 2);
    await app.start(taskId);
    for (const result of await Promise.all(waiting)) {
      expect([ids(result), result.nextAfterEventId, result.hasMore]).toEqual([['1-0'], '1-0', false]);
    }
  });

  it('gives the cursor back, or null at the start, when nothing comes in time', async () => {
    const empty = await app.createTask();
    const taskId = await app.taskWith(2);
    const started = performance.now();
    const [fromStart, later, unwilling] = await Promise.all([
      poll(empty, { waitTimeoutMs: 300 }),
      poll(taskId, { afterSeq: 2, waitTimeoutMs: 300 }),
      poll(taskId, { afterSeq: 2, waitTimeoutMs: 0 }),
    ]);
    const waitedMs = performance.now() - started;
    expect(fromStart).toEqual({ taskId: empty, events: [], nextAfterEventId: null, hasMore: false });
    expect(later).toEqual({ taskId, events: [], nextAfterEventId: '2-0', hasMore: false });
    expect(unwilling).toEqual(later);
    expect(waitedMs).toBeGreaterThanOrEqual(290);
    expect(waitedMs).toBeLessThan(3_000);
  });

  it('does not wait at the end of a finished task', async () => {
    const taskId = await app.taskWith(2);
    await app.complete(taskId);
    const started = performance.now();
    expect(await poll(taskId, { afterSeq: 3 })).toEqual({
      taskId,
      events: [],
      nextAfterEventId: '3-0',
      hasMore: false,
    });
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(ids(await poll(taskId, { afterSeq: 1 }))).toEqual(['2-0', '3-0']);
  });

  it('refuses unknown tasks and cursors past the end', async () => {
    const taskId = await app.taskWith(2);
    await expect(poll(uuidv7())).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    await expect(poll(taskId, { afterSeq: 3 })).rejects.toMatchObject({ code: 'INVALID_CURSOR' });
    await expect(poll(taskId, { afterSeq: -1 })).rejects.toMatchObject({ code: 'INVALID_CURSOR' });
    await expect(poll(taskId, { afterSeq: Number.NaN })).rejects.toMatchObject({ code: 'INVALID_CURSOR' });
  });

  it('ends when the client leaves', async () => {
    const taskId = await app.createTask();
    const client = new AbortController();
    const waiting = poll(taskId, { signal: client.signal });
    await eventually(() => app.leftovers().drainables === 1);
    client.abort();
    expect((await waiting).events).toEqual([]);
  });

  it('is refused with a retryable error while draining, unless it has something to return', async () => {
    const other = await StreamApp.open(database);
    const taskId = await other.taskWith(2);
    const waiting = poll(taskId, { afterSeq: 2 }, other);
    const refused = expect(waiting).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await eventually(() => other.leftovers().drainables === 1);
    await other.get(StreamDrain).drain();
    await refused;
    await expect(poll(taskId, { afterSeq: 2 }, other)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect(ids(await poll(taskId, { afterSeq: 1 }, other))).toEqual(['2-0']);
    expect(other.leftovers()).toEqual(NOTHING_LEFT);
    await other.close();
  });

  it('serves many polls that wait for one task by one read', async () => {
    const taskId = await app.createTask();
    const waiting = Array.from({ length: 300 }, () => poll(taskId));
    await eventually(() => app.leftovers().drainables === 300);
    await app.start(taskId);
    for (const result of await Promise.all(waiting)) expect(ids(result)).toEqual(['1-0']);
  });
});
