import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CheckpointStore, MemoryStore, TaskBridgeClient } from '@taskbridge/client';
import { TaskWatch } from '../src/react/task-watch.js';
import { Mailbox } from '../src/transports/mailbox.js';
import { SseParser } from '../src/transports/sse-parser.js';
import { eventually } from '../../../test/support/eventually.js';
import { FakeServer, json, read } from './support/fake-server.js';

const envelope = (seq: number, type: string, payload: unknown, taskId = 'task-1'): object => ({
  type,
  taskId,
  eventId: `${seq}-0`,
  createdAt: '2027-01-01T00:00:00Z',
  payload,
});
const data = (frame: object): string => `data: ${JSON.stringify(frame)}\n\n`;
const progress = (seq: number): string => data(envelope(seq, 'TASK_PROGRESS', { progress: seq % 100 }));
const question = (seq: number): string =>
  data(envelope(seq, 'TASK_SUSPENDED', { suspendId: `s${seq}`, allowedActions: ['ok'] }));
const completed = (seq: number): string => data(envelope(seq, 'TASK_COMPLETED', { result: seq }));
const snapshot = (status: string, seq: number): object => ({
  taskId: 'task-1',
  status,
  lastEventId: `${seq}-0`,
  openSuspensions: [],
  actions: [],
});

function stream(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
}

const nothing = (): void => undefined;

describe('A client among adversaries', () => {
  const fake = FakeServer.forEach();

  it('leaves no answer behind whose task ends while it is stored', async () => {
    const items = new Map<string, string>();
    const store: CheckpointStore = {
      getItem: (key) => sleep(1, items.get(key)),
      setItem: (key, text) => sleep(key.endsWith(':answers') ? 20 : 1).then(() => void items.set(key, text)),
      removeItem: (key) => sleep(1).then(() => void items.delete(key)),
    };
    const client = fake.clientOf({ store });
    for (let endsAfterMs = 0; endsAfterMs < 15; endsAfterMs += 1) {
      let answered = nothing;
      fake.answer = (request, response) => {
        if (request.url?.endsWith('/actions')) {
          json(response, { taskId: 'task-1', status: 'ACCEPTED' });
          return answered();
        }
        if (!request.url?.endsWith('/stream?lastEventId=0-0&gap=error'))
          return json(response, snapshot('COMPLETED', 2));
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(question(1));
        answered = () => void setTimeout(() => response.end(completed(2)), endsAfterMs);
      };
      let submission: Promise<unknown> | undefined;
      for await (const { type } of client.observeTaskEvents('task-1')) {
        if (type === 'TASK_SUSPENDED')
          submission = client.submitAction('task-1', { suspendId: 's1', actionType: 'ok' });
      }
      await submission;
      await eventually(() => items.size === 0);
    }
  });

  it.each([[{}], [7], [true], [['1-0']], [null]])('takes %j from a store for nothing', async (garbage) => {
    const store: CheckpointStore = { getItem: () => garbage as string | null, setItem: nothing, removeItem: nothing };
    fake.answer = (request, response) =>
      request.url?.includes('/stream')
        ? stream(response, progress(1) + question(2) + completed(3))
        : json(response, snapshot('COMPLETED', 3));
    const client = fake.clientOf({ store });
    expect(await read(client)).toEqual(['1-0', '2-0', '3-0']);
    await client.waitForResult('task-1');
    expect(await read(client, { checkpoint: false })).toHaveLength(3);
  });

  it('asks a store that hangs once, however many questions there are', async () => {
    const store = new MemoryStore();
    const hangs: CheckpointStore = {
      getItem: () => new Promise(() => undefined),
      setItem: () => undefined,
      removeItem: () => undefined,
    };
    fake.answer = (_, response) => stream(response, [1, 2, 3, 4, 5].map(question).join('') + completed(6));
    expect(await read(fake.clientOf({ store: hangs, commandTimeoutMs: 200 }))).toHaveLength(6);
    expect(fake.diagnostics.filter(({ kind }) => kind === 'store-failure')).toHaveLength(1);
    expect(await read(fake.clientOf({ store }))).toHaveLength(6);
  });

  it('gives up the reading of an attachment with its signal', async () => {
    const stalled = new ReadableStream<Uint8Array>();
    const attachments = [{ name: 'a', data: stalled }];
    const call = fake
      .clientOf()
      .startTaskMultipart({ taskType: 'x', attachments }, { signal: AbortSignal.timeout(50) });
    await expect(call).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(fake.asked).toEqual([]);
  });

  it('sends streams of Node, and refuses what would become another text', async () => {
    let body = '';
    fake.answer = async (request, response) => {
      body = '';
      for await (const part of request) body += String(part);
      json(response, { taskId: 'task-1' });
    };
    const parts = [Buffer.from('first;'), Buffer.from('second')];
    await fake
      .clientOf()
      .startTaskMultipart({ taskType: 'x', attachments: [{ name: 'a', data: Readable.from(parts) }] });
    expect(body).toContain('first;second');
    for (const wrong of [{ chunks: parts }, undefined]) {
      const attachments = [{ name: 'a.csv', data: wrong as unknown as string }];
      await expect(fake.clientOf().startTaskMultipart({ taskType: 'x', attachments })).rejects.toThrow(
        'a.csv has no data',
      );
    }
    expect(fake.asked).toHaveLength(1);
  });

  it.each([snapshot('RUNNING', 2), { ...snapshot('RUNNING', 2), lastEventId: null }])(
    'never goes back, whatever snapshot a gap shows',
    async (contradiction) => {
      const gap = data({ type: 'GAP', retainedFromEventId: '8-0', snapshot: contradiction });
      const log = [1, 2, 3, 4, 5].map(progress).join('');
      fake.answer = (request, response) =>
        stream(response, request.url?.includes('lastEventId=0-0') ? log + gap : progress(8) + completed(9));
      const gaps: string[] = [];
      const onGap = ({ afterEventId }: { afterEventId: string }): 'skip-to-snapshot' => {
        gaps.push(afterEventId);
        return 'skip-to-snapshot';
      };
      expect(await read(fake.clientOf(), { onGap })).toEqual(['1-0', '2-0', '3-0', '4-0', '5-0', '8-0', '9-0']);
      expect(gaps).toEqual(['5-0']);
    },
  );

  it('refreshes once for all who were refused the same token', async () => {
    let [valid, refreshes] = [1, 0];
    fake.answer = async (request, response) => {
      await sleep(Math.random() * 40);
      if (request.headers.authorization === String(valid)) json(response, snapshot('RUNNING', 1));
      else json(response, { code: 'AUTHENTICATION_ERROR', message: 'expired' }, 401);
    };
    let token = 0;
    const client = fake.clientOf({
      authHeaderProvider: async (_, force) => {
        if (force) {
          refreshes += 1;
          await sleep(5);
          token = valid = refreshes + 1;
        }
        return { authorization: String(token) };
      },
    });
    await Promise.all(Array.from({ length: 40 }, () => client.getTask('task-1')));
    expect(refreshes).toBe(1);
  });

  it('tries a command again whose headers could not be had for want of a network', async () => {
    fake.answer = (_, response) => json(response, snapshot('RUNNING', 1));
    let calls = 0;
    const client = fake.clientOf({
      authHeaderProvider: () => {
        calls += 1;
        if (calls < 3) throw new TypeError('fetch failed');
        return {};
      },
    });
    expect(await client.getTask('task-1')).toMatchObject({ status: 'RUNNING' });
    expect(calls).toBe(3);
    expect(fake.asked).toHaveLength(1);
  });

  it('tries a command again whose token could not be refreshed for want of a network', async () => {
    fake.answer = (request, response) =>
      request.headers.authorization === 'good'
        ? json(response, snapshot('RUNNING', 1))
        : json(response, { code: 'AUTHENTICATION_ERROR', message: 'expired' }, 401);
    let refreshes = 0;
    const client = fake.clientOf({
      authHeaderProvider: (_, force) => {
        if (force) refreshes += 1;
        if (force && refreshes === 1) throw new TypeError('fetch failed');
        return { authorization: force ? 'good' : 'old' };
      },
    });
    await expect(client.getTask('task-1')).resolves.toMatchObject({ status: 'RUNNING' });
  });

  it('refuses a base address without a scheme', () => {
    for (const baseUrl of ['localhost:3000', 'ftp://x', undefined as unknown as string]) {
      expect(() => new TaskBridgeClient({ baseUrl })).toThrow('baseUrl');
    }
  });

  it('does not poll without a pause for more that never comes', async () => {
    fake.answer = (request, response) =>
      request.url?.includes('/events')
        ? json(response, { events: [], hasMore: true, nextAfterEventId: '0-0' })
        : json(response, snapshot('RUNNING', 1));
    const client = fake.clientOf({ transports: ['poll'], recovery: { initialDelayMs: 1_000 } });
    const signal = AbortSignal.timeout(600);
    await expect(read(client, { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(fake.asked.length).toBeLessThan(20);
  });

  it('gives every poll a signal of its own, so that listeners do not add up', async () => {
    const signals = new Set<unknown>();
    fake.answer = (request, response) => {
      const seq = Number(/afterEventId=(\d+)/.exec(request.url ?? '')?.[1]) + 1;
      const event = seq < 12 ? envelope(seq, 'TASK_PROGRESS', { progress: seq }) : envelope(seq, 'TASK_COMPLETED', {});
      json(response, { events: [event], hasMore: true, nextAfterEventId: `${seq}-0` });
    };
    const watched: typeof fetch = (address, init) => {
      signals.add(init?.signal);
      return fetch(address, init);
    };
    expect(await read(fake.clientOf({ transports: ['poll'], fetch: watched }))).toHaveLength(12);
    expect(signals.size).toBe(12);
  });

  it('holds no more connections than it may, and follows every task all the same', async () => {
    const held = { sse: 0, poll: 0 };
    const most = { sse: 0, poll: 0 };
    const hold = (kind: 'sse' | 'poll', response: ServerResponse): void => {
      held[kind] += 1;
      most[kind] = Math.max(most[kind], held[kind]);
      response.on('close', () => (held[kind] -= 1));
    };
    const log = { isOver: false };
    fake.answer = async (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
      const taskId = pathname.split('/')[4] ?? '';
      const end = envelope(1, 'TASK_COMPLETED', {}, taskId);
      if (pathname.endsWith('/stream')) {
        hold('sse', response);
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
        while (!log.isOver && !response.closed) await sleep(5);
        response.end(data(end));
        return;
      }
      const waitMs = Number(searchParams.get('waitTimeoutMs'));
      if (waitMs > 500) hold('poll', response);
      const until = performance.now() + waitMs;
      while (!log.isOver && !response.closed && performance.now() < until) await sleep(5);
      json(response, { events: log.isOver ? [end] : [], hasMore: false, nextAfterEventId: log.isOver ? '1-0' : '0-0' });
    };
    const client = fake.clientOf({ transports: ['sse', 'poll'], maxStreams: 2 });
    const ends = Array.from({ length: 7 }, async (_, index) => {
      for await (const { type } of client.observeTaskEvents(`task-${index}`)) return type;
      return undefined;
    });
    await eventually(() => held.sse === 2 && held.poll === 2);
    await sleep(1_200);
    log.isOver = true;
    expect(new Set(await Promise.all(ends))).toEqual(new Set(['TASK_COMPLETED']));
    expect(most).toEqual({ sse: 2, poll: 2 });
    await eventually(() => held.sse === 0 && held.poll === 0);
  });

  it('takes an event when what its subscriber returns is done', async () => {
    const store = new MemoryStore();
    fake.answer = (_, response) => stream(response, progress(1) + progress(2) + completed(3));
    const seen: (string | undefined)[] = [];
    await new Promise<void>((resolve, reject) => {
      fake
        .clientOf({ store })
        .observeTaskEvents('task-1')
        .subscribe({
          next: async () => {
            await sleep(5);
            seen.push(store.getItem('taskbridge:task-1:cursor'));
          },
          complete: resolve,
          error: reject,
        });
    });
    expect(seen).toEqual([undefined, '1-0', '2-0']);
  });

  it('shows a task behind a proxy that answers with a page of its own for a while', async () => {
    fake.answer = (request, response) => {
      if (fake.asked.length < 3) response.writeHead(404, { 'content-type': 'text/html' }).end('<html>');
      else if (request.url?.includes('/stream')) stream(response, completed(2));
      else json(response, snapshot('RUNNING', 1));
    };
    const client = fake.clientOf();
    const watch = new TaskWatch(client, client, 'task-1');
    const unsubscribe = watch.subscribe(() => undefined);
    await eventually(() => watch.current().status === 'COMPLETED');
    unsubscribe();
  });

  it('shows what comes at once at once, however long the log is', async () => {
    const length = 5_000;
    fake.answer = (request, response) => {
      if (!request.url?.includes('/stream')) return json(response, { ...snapshot('RUNNING', 0), lastEventId: null });
      return stream(
        response,
        Array.from({ length }, (_, index) => progress(index + 1)).join('') + completed(length + 1),
      );
    };
    const client = fake.clientOf();
    const watch = new TaskWatch(client, client, 'task-1');
    let shown = 0;
    const unsubscribe = watch.subscribe(() => (shown += 1));
    await eventually(() => watch.current().status === 'COMPLETED');
    expect(watch.current().events.map(({ eventId }) => Number.parseInt(eventId, 10))).toEqual(
      Array.from({ length: length + 1 }, (_, index) => index + 1),
    );
    expect(shown).toBeLessThan(length / 5);
    unsubscribe();
  });

  it('cuts a stream into messages wherever its pieces end', () => {
    const messages = ['one', 'two\nlines', 'x'.repeat(300), 'last'];
    for (const newline of ['\n', '\r\n', '\r']) {
      const text = messages
        .map(
          (message) =>
            message
              .split('\n')
              .map((line) => `data: ${line}${newline}`)
              .join('') + newline,
        )
        .join('');
      for (let size = 1; size < 40; size += 1) {
        const parser = new SseParser();
        const pieces = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
        // The second half of a CRLF might still follow.
        expect([...pieces, ': end\n'].flatMap((piece) => parser.push(piece))).toEqual(messages);
      }
    }
  });

  it('weighs what waits for a slow reader', async () => {
    const mailbox = new Mailbox<string | null>();
    const texts = [null, '', 'x'.repeat(2_047), 'x'.repeat(60_000)];
    for (const text of texts) mailbox.push(text);
    expect(mailbox.load).toBe(4 + 29);
    for (const text of texts) expect(await mailbox.next()).toBe(text);
    expect(mailbox.load).toBe(0);
  });
});
