import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type MetricLabels, NoMetrics } from '../../lib/observability/metrics-sink.js';
import type { LogEvent } from '../../lib/stores/records.js';
import { NotifyChannel } from '../../lib/streams/notify-channel.js';
import { MAX_MESSAGE_BYTES, eventEntry, packMessages, parseNotification } from '../../lib/streams/notify-message.js';
import { PostgresWakeUps } from '../../lib/streams/postgres-wake-ups.js';
import { resolveSettings } from '../../lib/taskbridge.settings.js';
import type { TaskBridgeRuntimeOptions } from '../../lib/taskbridge.options.js';
import { FaultProxy } from '../faults/support/fault-proxy.js';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';

Logger.overrideLogger(false);

function event(taskId: string, seq: number, payload: object = { progress: seq }): LogEvent {
  const createdAt = '2026-03-01T10:00:00.123Z';
  return { taskId, seq, type: 'TASK_PROGRESS', createdAt, payloadJson: JSON.stringify(payload) };
}

/** What anybody may put on the channel and no process does. */
function foreignMessages(origin: string): string[] {
  const [o, taskId] = [origin, uuidv7()];
  const sections = [
    { h: 5 },
    { h: 'task' },
    { h: null },
    { h: [5] },
    { h: [''] },
    { h: { length: 1 } },
    { w: 5 },
    { w: [5] },
    { w: [[]] },
    { w: [['runnable']] },
    { w: [['runnable', 5]] },
    { w: [['sudo', taskId]] },
    { w: { 0: ['runnable', taskId] } },
    { e: 5 },
    { e: 'event' },
    { e: [null] },
    { e: [[]] },
    { e: [[taskId, 1, 99, 0, '{}']] },
    { e: [[taskId, 1, 'length', 0, '{}']] },
    { e: [[taskId, 0, 1, 0, '{}']] },
    { e: [[taskId, 1.5, 1, 0, '{}']] },
    { e: [[taskId, '1', 1, 0, '{}']] },
    { e: [[taskId, 1, 1, 9e15, '{}']] },
    { e: [[taskId, 1, 1, 'now', '{}']] },
    { e: [[taskId, 1, 1, 0, '{']] },
    { e: [[taskId, 1, 1, 0, '[]']] },
    { e: [[taskId, 1, 1, 0, 'null']] },
    { e: [[taskId, 1, 1, 0, {}]] },
    { e: [[5, 1, 1, 0, '{}']] },
    { e: [[taskId, 1, 1, 0, '{}', 6]] },
    { e: [], h: [taskId], w: 5 },
  ];
  const others = ['', 'hello', '[]', '{}', 'null', '7', '{"o":1}', '{"o":null,"h":["task"]}'];
  return [...others, ...sections.map((section) => JSON.stringify({ o, ...section }))];
}

/** What one process has been told. */
class Ear {
  readonly events: LogEvent[] = [];
  readonly hints: string[] = [];
  readonly work: string[] = [];
  missed = 0;

  constructor(readonly wakeUps: PostgresWakeUps) {
    wakeUps.subscribe({
      onEvents: (events) => this.events.push(...events),
      onHint: (taskId) => this.hints.push(taskId),
      onWork: (kind, taskId) => this.work.push(`${kind} ${taskId}`),
      onMissed: () => (this.missed += 1),
    });
  }
}

describe('wake-ups over LISTEN/NOTIFY', () => {
  let dataSource: DataSource;
  let closeDatabase: () => Promise<void>;
  let started: PostgresWakeUps[];

  beforeEach(async () => {
    ({ dataSource, close: closeDatabase } = await openTestDatabase());
    started = [];
  });

  afterEach(async () => {
    await Promise.all(started.map((wakeUps) => wakeUps.stop()));
    await closeDatabase();
  });

  async function process(options: TaskBridgeRuntimeOptions = {}, source = dataSource): Promise<Ear> {
    const wakeUps = new PostgresWakeUps(source, resolveSettings({}, options), uuidv7(), new NoMetrics());
    started.push(wakeUps);
    await wakeUps.start();
    return new Ear(wakeUps);
  }

  async function channelName(): Promise<string> {
    const channel = new NotifyChannel(dataSource, undefined);
    const client = channel.createClient('test');
    await client.connect();
    const name = await channel.nameFor(client);
    await client.end();
    return name;
  }

  async function backends(application: string): Promise<number[]> {
    const rows: { pid: number }[] = await dataSource.query(
      'select pid from pg_stat_activity where datname = current_database() and application_name = $1',
      [application],
    );
    return rows.map(({ pid }) => pid);
  }

  it('hands events to another process as they are', async () => {
    const [a, b] = [await process(), await process()];
    const taskId = uuidv7();
    const events = [event(taskId, 1, { text: 'grüße "✓"\u2028' }), event(taskId, 2)];
    a.wakeUps.publishEvents(events);
    expect(a.events).toEqual(events);
    await eventually(() => b.events.length === 2);
    expect(b.events).toEqual(events);
    expect(b.hints).toEqual([]);
  });

  it('keeps the order of what is published while a notification is on its way', async () => {
    const [a, b] = [await process(), await process()];
    const taskIds = [uuidv7(), uuidv7(), uuidv7()];
    for (let seq = 1; seq <= 400; seq += 1) a.wakeUps.publishEvents(taskIds.map((taskId) => event(taskId, seq)));
    await eventually(() => b.events.length === 1_200);
    for (const taskId of taskIds) {
      const seqs = b.events.filter((heard) => heard.taskId === taskId).map(({ seq }) => seq);
      expect(seqs).toEqual(Array.from({ length: 400 }, (_, index) => index + 1));
    }
  });

  it('hints at an event that does not fit a notification', async () => {
    const [a, b] = [await process(), await process()];
    const taskId = uuidv7();
    a.wakeUps.publishEvents([event(taskId, 1, { text: 'x'.repeat(20_000) })]);
    await eventually(() => b.hints.length === 1);
    expect(b.hints).toEqual([taskId]);
    expect(b.events).toEqual([]);
  });

  it('notifies nobody while it is alone, and the next process as soon as that listens', async () => {
    const a = await process();
    const listener = new NotifyChannel(dataSource, undefined).createClient('test');
    await listener.connect();
    await listener.query(`listen "${await channelName()}"`);
    let notifications = 0;
    listener.on('notification', ({ payload = '' }) => (notifications += payload.includes('"p":') ? 0 : 1));
    const now = performance.now.bind(performance);
    const later = jest.spyOn(performance, 'now').mockImplementation(() => now() + 20_000);
    try {
      await eventually(() => a.wakeUps.isAlone);
      a.wakeUps.publishEvents([event(uuidv7(), 1)]);
      a.wakeUps.publishHint(uuidv7());
      a.wakeUps.publishWork('runnable', uuidv7());
      const b = await process();
      await eventually(() => !a.wakeUps.isAlone);
      expect(notifications).toBe(0);
      const taskId = uuidv7();
      a.wakeUps.publishEvents([event(taskId, 1)]);
      await eventually(() => b.events.length === 1);
      expect(b.events[0]?.taskId).toBe(taskId);
      await eventually(() => notifications === 1);
    } finally {
      later.mockRestore();
      await listener.end();
    }
  });

  it('keeps payloads out of notifications when told to', async () => {
    const [a, b] = [await process({ streams: { notify: 'ids' } }), await process()];
    const taskId = uuidv7();
    a.wakeUps.publishEvents([event(taskId, 1), event(taskId, 2)]);
    await eventually(() => b.hints.length > 0);
    expect(new Set(b.hints)).toEqual(new Set([taskId]));
    expect(b.events).toEqual([]);
  });

  it('passes hints and work on, locally at once', async () => {
    const [a, b] = [await process(), await process()];
    const taskId = uuidv7();
    a.wakeUps.publishHint(taskId);
    a.wakeUps.publishWork('runnable', taskId);
    expect([a.hints, a.work]).toEqual([[taskId], [`runnable ${taskId}`]]);
    await eventually(() => b.hints.length === 1 && b.work.length === 1);
    expect([b.hints, b.work]).toEqual([[taskId], [`runnable ${taskId}`]]);
    expect([a.hints.length, a.work.length]).toEqual([1, 1]);
  });

  it('polls while its listening connection is gone, and listens again', async () => {
    const [a, b] = [await process(), await process()];
    expect([a.wakeUps.mode, b.wakeUps.mode]).toEqual(['listening', 'listening']);
    const killed = await backends('taskbridge listen');
    await dataSource.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [killed]);
    await eventually(() => b.missed > 0);
    await eventually(() => a.wakeUps.hearsOthers && b.wakeUps.hearsOthers);
    expect(b.missed).toBe(2);
    a.wakeUps.publishEvents([event(uuidv7(), 1)]);
    await eventually(() => b.events.length === 1);
  });

  it('notifies again after its sending connection was killed', async () => {
    const [a, b] = [await process(), await process()];
    const killed = await backends('taskbridge notify');
    await dataSource.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [killed]);
    await eventually(async () => (await backends('taskbridge notify')).some((pid) => !killed.includes(pid)));
    const taskId = uuidv7();
    let seq = 0;
    await eventually(() => {
      a.wakeUps.publishEvents([event(taskId, (seq += 1))]);
      return b.events.length + b.hints.length > 0;
    });
    expect([...b.hints, ...b.events.map((heard) => heard.taskId)]).toContain(taskId);
  });

  it('listens in the end also when a connection goes silent before it listens', async () => {
    const { port } = new URL(String((dataSource.options as { url?: string }).url));
    const proxy = await FaultProxy.open(() => Number(port));
    proxy.muteAt = 'listen "';
    const a = await process({ direct: { host: '127.0.0.1', port: proxy.port } });
    await eventually(() => a.wakeUps.mode === 'listening', 25_000);
    const b = await process();
    b.wakeUps.publishHint('here');
    await eventually(() => a.hints.length === 1);
    await a.wakeUps.stop();
    await proxy.close();
  }, 60_000);

  it('goes on when somebody else notifies on its channel', async () => {
    const [a, b] = [await process(), await process()];
    a.wakeUps.publishHint('before');
    await eventually(() => b.hints.length === 1);
    for (const payload of foreignMessages(uuidv7())) {
      await dataSource.query('select pg_notify($1, $2)', [await channelName(), payload]);
    }
    a.wakeUps.publishHint('after');
    await eventually(() => b.hints.length === 2);
    expect([b.hints, b.events, b.work]).toEqual([['before', 'after'], [], []]);
    expect(b.wakeUps.mode).toBe('listening');
  });

  it('goes on when taking a notification fails', async () => {
    class BrokenMetrics extends NoMetrics {
      failures = 0;

      override count(_name?: string, _by?: number, labels: MetricLabels = {}): void {
        if (labels['source'] !== 'notification') return;
        this.failures += 1;
        throw new Error('broken metrics');
      }
    }
    const metrics = new BrokenMetrics();
    const wakeUps = new PostgresWakeUps(dataSource, resolveSettings({}, {}), uuidv7(), metrics);
    started.push(wakeUps);
    await wakeUps.start();
    const [a, b] = [await process(), new Ear(wakeUps)];
    a.wakeUps.publishWork('runnable', uuidv7());
    await eventually(() => metrics.failures === 1);
    a.wakeUps.publishHint('after');
    await eventually(() => b.hints.length === 1);
    expect([b.hints, b.work]).toEqual([['after'], []]);
  });

  it('keeps the schemas of one database apart', async () => {
    await dataSource.query('create schema other');
    const elsewhere = Object.create(dataSource, {
      options: { value: { ...dataSource.options, schema: 'other' } },
    }) as DataSource;
    const [a, b, c] = [await process(), await process({}, elsewhere), await process()];
    a.wakeUps.publishHint('here');
    await eventually(() => c.hints.length === 1);
    b.wakeUps.publishHint('there');
    a.wakeUps.publishHint('again');
    await eventually(() => c.hints.length === 2);
    expect([b.hints, c.hints]).toEqual([['there'], ['here', 'again']]);
  });

  it('delivers to the other subscribers when one fails', async () => {
    const a = await process();
    a.wakeUps.subscribe({
      onHint: () => {
        throw new Error('broken subscriber');
      },
    });
    const second = new Ear(a.wakeUps);
    a.wakeUps.publishHint('task');
    expect(second.hints).toEqual(['task']);
  });

  it('sends what waits before it stops, and keeps no connection', async () => {
    const [a, b] = [await process(), await process()];
    const taskId = uuidv7();
    for (let seq = 1; seq <= 50; seq += 1) a.wakeUps.publishEvents([event(taskId, seq)]);
    await a.wakeUps.stop();
    await eventually(() => b.events.length === 50);
    await b.wakeUps.stop();
    await eventually(async () => (await backends('taskbridge listen')).length === 0);
    expect(await backends('taskbridge notify')).toEqual([]);
  });

  it('boots and polls when the database cannot be reached', async () => {
    const unreachable = resolveSettings({}, { direct: { host: '127.0.0.1', port: 1 } });
    const wakeUps = new PostgresWakeUps(dataSource, unreachable, uuidv7(), new NoMetrics());
    started.push(wakeUps);
    await wakeUps.start();
    expect(wakeUps.mode).toBe('polling');
    const ear = new Ear(wakeUps);
    wakeUps.publishHint('task');
    expect(ear.hints).toEqual(['task']);
  });
});

describe('notification messages', () => {
  const origin = uuidv7();

  it('stay below the limit of NOTIFY and keep the order', () => {
    const taskId = uuidv7();
    const events = Array.from({ length: 300 }, (_, index) => event(taskId, index + 1, { text: 'ü'.repeat(index) }));
    const messages = packMessages(origin, 'e', events.map(eventEntry));
    expect(Math.max(...messages.map((message) => Buffer.byteLength(message)))).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
    expect(messages.flatMap((message) => parseNotification(message)?.events ?? [])).toEqual(events);
  });

  it('are ignored when they are not of this protocol', () => {
    const junk = foreignMessages(origin);
    expect(junk.map(parseNotification)).toEqual(junk.map(() => undefined));
  });
});
