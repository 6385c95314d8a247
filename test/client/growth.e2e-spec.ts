import { getEventListeners } from 'node:events';
import { MemoryStore, TaskBridgeClient, type TaskSession } from '@taskbridge/client';
import { WebSocket } from 'ws';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { NOTHING_LEFT, StreamApp } from '../support/stream-app.js';
import { StreamDrain } from '../../lib/streams/index.js';
import { clientOf, KINDS } from './support/torture-client.js';

const ROUNDS = 40;
const UNKNOWN_TASK = '0199d1b0-0000-7000-8000-000000000001';

/** How much an object holds, directly or through others: entries of its maps, sets and lists. */
function entriesOf(root: object): number {
  const seen = new Set<object>();
  const rest: unknown[] = [root];
  let entries = 0;
  for (let value = rest.pop(); value !== undefined || rest.length > 0; value = rest.pop()) {
    if (typeof value !== 'object' || value === null || seen.has(value) || value instanceof WebSocket) continue;
    seen.add(value);
    if (value instanceof Map || value instanceof Set || Array.isArray(value)) {
      const items = value instanceof Map ? [...value.entries()].flat() : [...value];
      entries += items.length;
      rest.push(...items);
    } else {
      rest.push(...Object.values(value));
    }
  }
  return entries;
}

describe('After many observations', () => {
  let opened: OpenTestDatabase;
  let instance: StreamApp;
  let ended: string;
  let running: string;

  beforeAll(async () => {
    opened = await openTestDatabase();
    instance = await StreamApp.open(opened.database);
    ended = await instance.taskWith(3);
    await instance.complete(ended);
    running = await instance.taskWith(3);
  });

  afterAll(async () => {
    await instance.close();
    await opened.close();
  });

  /** In every way that an observation may end. */
  const observe = async (observer: TaskBridgeClient | TaskSession): Promise<void> => {
    let events = 0;
    for await (const { taskId } of observer.observeTaskEvents(ended)) events += Number(taskId === ended);
    expect(events).toBe(4);
    for await (const { eventId } of observer.observeTaskEvents(running)) if (eventId === '3-0') break;
    const options = { signal: AbortSignal.timeout(5), lastEventId: '3-0' };
    await expect(observer.observeTaskEvents(running, options)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    const unknown = observer.observeTaskEvents(UNKNOWN_TASK)[Symbol.asyncIterator]().next();
    await expect(unknown).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    await new Promise<void>((resolve) => {
      const subscription = observer.observeTaskEvents(running, { lastEventId: '0' }).subscribe(() => {
        subscription.unsubscribe();
        resolve();
      });
    });
  };

  const nothingIsLeft = async (): Promise<void> => {
    await eventually(() => JSON.stringify(instance.leftovers()) === JSON.stringify(NOTHING_LEFT));
    expect(instance.leftovers()).toEqual(NOTHING_LEFT);
  };

  it.each(KINDS)('the client and the server hold nothing more than before, over %s', async (kind) => {
    const store = new MemoryStore();
    const client = clientOf(instance.origin, { transports: [kind], store });
    await observe(client);
    await nothingIsLeft();
    const before = entriesOf(client);
    for (let round = 0; round < ROUNDS; round += 1) {
      await observe(client);
      const answer = { suspendId: 'none', actionType: 'yes' };
      await expect(client.submitAction(running, answer)).rejects.toMatchObject({ code: 'SUSPENSION_NOT_FOUND' });
    }
    await nothingIsLeft();
    expect(entriesOf(client)).toBe(before);
  });

  it('a session and its connection hold nothing more than before, as long as they are open', async () => {
    const session = clientOf(instance.origin).session();
    const subscriptions = (): number =>
      [...(instance.get(StreamDrain) as unknown as { open: Set<{ subscriptions: Map<string, unknown> }> }).open]
        .map((connection) => connection.subscriptions.size)
        .reduce((sum, size) => sum + size, 0);
    await observe(session);
    await eventually(() => subscriptions() === 0);
    const before = entriesOf(session);
    for (let round = 0; round < ROUNDS; round += 1) await observe(session);
    await eventually(() => subscriptions() === 0 && entriesOf(session) <= before);
    expect(instance.leftovers().followers).toBe(0);
    // A task that is taken again before the server has let go of it is on a second one.
    expect(instance.leftovers().drainables).toBeLessThanOrEqual(2);
    session.close();
    await nothingIsLeft();
  });

  it('a signal that all of them share has one listener, and in the end none', async () => {
    const { signal } = new AbortController();
    const counts = new Set<number>();
    const client = clientOf(instance.origin, {
      diagnostics: () => counts.add(getEventListeners(signal, 'abort').length),
    });
    const session = client.session();
    await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const observer = index % 2 === 0 ? client : session;
        for await (const { eventId } of observer.observeTaskEvents(running, { signal, checkpoint: false })) {
          await Promise.all([client.getTask(running, { signal }), client.listTasks({}, { signal })]);
          if (eventId === '3-0') break;
        }
      }),
    );
    session.close();
    expect(counts).toEqual(new Set([1]));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
