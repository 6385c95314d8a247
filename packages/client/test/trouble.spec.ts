import { type CheckpointStore, isTerminalEvent, MemoryStore, type TaskBridgeClient } from '@taskbridge/client';
import { from, lastValueFrom, takeWhile } from 'rxjs';
import { WebSocket, WebSocketServer } from 'ws';
import { TaskWatch } from '../src/react/task-watch.js';
import { after } from '../src/wait.js';
import { eventually } from '../../../test/support/eventually.js';
import { type Answer, FakeServer, json, read } from './support/fake-server.js';

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

function event(seq: number, type: string, payload: unknown): string {
  const envelope = { type, taskId: 'task-1', eventId: `${seq}-0`, createdAt: '2027-01-01T00:00:00Z', payload };
  return `data: ${JSON.stringify(envelope)}\n\n`;
}

const progress = (seq: number): string => event(seq, 'TASK_PROGRESS', { progress: seq });
const completed = (seq: number): string => event(seq, 'TASK_COMPLETED', { result: seq });

/** The same as a frame of a WebSocket. */
const frameOf = (text: string, taskId: string): string => text.slice('data: '.length).replace('task-1', taskId);

function snapshot(status: string, seq: number): object {
  return { taskId: 'task-1', status, lastEventId: `${seq}-0`, openSuspensions: [] };
}

/** Streams one after the other; each one ends after its text. */
function streams(...texts: string[]): Answer {
  return (request, response) => {
    if (!request.url?.includes('/stream')) return json(response, snapshot('RUNNING', 3));
    response.writeHead(200, { 'content-type': 'Text/Event-Stream' }).end(texts.shift() ?? ': nothing\n\n');
  };
}

/** A store whose writes happen when they are told to. */
function slowStore(): { store: CheckpointStore; writes: { text: string | undefined; finish: () => void }[] } {
  const store = new MemoryStore();
  const writes: { text: string | undefined; finish: () => void }[] = [];
  const slowly = (text: string | undefined, write: () => void): Promise<void> =>
    new Promise((resolve) => {
      const finish = (): void => {
        write();
        resolve();
      };
      writes.push({ text, finish });
    });
  return {
    writes,
    store: {
      getItem: (key) => store.getItem(key),
      setItem: (key, text) => slowly(text, () => store.setItem(key, text)),
      removeItem: (key) => slowly(undefined, () => store.removeItem(key)),
    },
  };
}

async function leaveAt(client: TaskBridgeClient, last: string): Promise<void> {
  for await (const { eventId } of client.observeTaskEvents('task-1')) if (eventId === last) break;
}

describe('A client in trouble', () => {
  const fake = FakeServer.forEach();

  /** Answers what each connection of a session subscribes to; returns everything that clients have sent. */
  const serveSession = (
    answerTo: (frame: { action: string; taskId: string }, socket: WebSocket, connection: number) => void,
  ): { frames: { action: string; taskId: string }[]; connections: () => number } => {
    const frames: { action: string; taskId: string }[] = [];
    let connections = 0;
    new WebSocketServer({ server: fake.server }).on('connection', (socket) => {
      const connection = (connections += 1);
      socket.on('message', (message) => {
        const frame = JSON.parse((message as Buffer).toString()) as { action: string; taskId: string };
        frames.push(frame);
        answerTo(frame, socket, connection);
      });
    });
    return { frames, connections: () => connections };
  };

  it('does not count streams that lasted as failures', async () => {
    let rounds = 0;
    fake.answer = (_, response) => {
      rounds += 1;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(rounds > 3 ? completed(1) : ': ping\n\n');
      setTimeout(() => response.end(), 700);
    };
    expect(await read(fake.clientOf({ recovery: { maxFailures: 1 } }))).toEqual(['1-0']);
    fake.answer = (_, response) =>
      void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(': ping\n\n');
    await expect(read(fake.clientOf({ recovery: { maxFailures: 1 } }))).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
    });
  });

  it.each([1, 3])('gives up at failure %d when so many are allowed', async (maxFailures) => {
    fake.answer = (_, response) => response.destroy();
    const poll = fake.clientOf({ transports: ['poll'], recovery: { maxFailures } });
    await expect(read(poll)).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
    expect(fake.asked).toHaveLength(maxFailures);
  });

  it('takes options that are undefined for options that are left out', async () => {
    fake.answer = (_, response) => (fake.asked.length === 1 ? response.destroy() : streams(completed(1))(_, response));
    const client = fake.clientOf({
      recovery: { maxDelayMs: undefined, livenessTimeoutMs: undefined },
      routes: { stream: undefined },
      store: undefined,
      commandTimeoutMs: undefined,
    });
    expect(await read(client, { lastEventId: undefined, checkpoint: undefined })).toEqual(['1-0']);
    expect(fake.asked).toHaveLength(2);
  });

  it('gives up a task whose end is only ever announced, and outlives a snapshot that fails', async () => {
    fake.answer = (request, response) => {
      if (request.url?.includes('/stream')) response.writeHead(204).end();
      else json(response, snapshot('RUNNING', 3));
    };
    await expect(read(fake.clientOf({ recovery: { maxFailures: 2 } }))).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
    });
    let failures = 0;
    fake.answer = (request, response) => {
      if (request.url?.includes('/stream')) response.writeHead(204).end();
      else if (failures++ < 3) response.destroy();
      else json(response, snapshot('COMPLETED', 0));
    };
    expect(await read(fake.clientOf({ commandAttempts: 1 }))).toEqual([]);
  });

  it('keeps the answers of a reader when one without a checkpoint sees the end', async () => {
    const store = new MemoryStore();
    const [list, answered] = ['taskbridge:task-1:answers', 'taskbridge:task-1:answer:s1'];
    const answerIt = (): void => [list, answered].forEach((key) => store.setItem(key, 's1'));
    const isKept = (): boolean[] => [list, answered].map((key) => store.getItem(key) !== undefined);
    store.setItem('taskbridge:task-1:cursor', '1-0');
    answerIt();
    const question = event(2, 'TASK_SUSPENDED', { suspendId: 's1', allowedActions: ['ok'] });
    const log = progress(1) + question + completed(3);
    fake.answer = streams(log, log, log);
    const client = fake.clientOf({ store });
    expect(await read(client, { checkpoint: false })).toEqual(['1-0', '2-0', '3-0']);
    expect(isKept()).toEqual([true, true]);
    expect(await read(client)).toEqual(['3-0']);
    expect(isKept()).toEqual([false, false]);
    answerIt();
    await read(client, { checkpoint: false });
    expect(isKept()).toEqual([false, false]);
  });

  it('forgets checkpoint and answers when the consumer leaves with the last event, and not before', async () => {
    const store = new MemoryStore();
    const keys = ['cursor', 'answers', 'answer:s1'].map((name) => `taskbridge:task-1:${name}`);
    const kept = (): (string | undefined)[] => keys.map((key) => store.getItem(key));
    const log = progress(1) + progress(2) + completed(3);
    fake.answer = streams(log, log, log);
    const client = fake.clientOf({ store });
    const remember = (): void => keys.slice(1).forEach((key) => store.setItem(key, 's1'));
    remember();
    await leaveAt(client, '2-0');
    expect(kept()).toEqual(['1-0', 's1', 's1']);
    await leaveAt(client, '3-0');
    expect(kept()).toEqual([undefined, undefined, undefined]);
    remember();
    const events = from(client.observeTaskEvents('task-1')).pipe(takeWhile((entry) => !isTerminalEvent(entry), true));
    expect(await lastValueFrom(events)).toMatchObject({ eventId: '3-0' });
    await eventually(() => kept().every((text) => text === undefined));
    remember();
    const again = streams(log);
    fake.answer = (request, response) =>
      request.url?.includes('/stream') ? again(request, response) : json(response, snapshot('RUNNING', 2));
    expect(await client.waitForResult('task-1')).toBe(3);
    expect(kept()).toEqual([undefined, undefined, undefined]);
  });

  it('forgets the answers of a task that it finds ended', async () => {
    const store = new MemoryStore();
    const keys = ['answers', 'answer:s1'].map((name) => `taskbridge:task-1:${name}`);
    fake.answer = (_, response) => json(response, snapshot('COMPLETED', 3));
    const client = fake.clientOf({ store });
    const looks = [
      () => void client.waitForResult('task-1'),
      () => void new TaskWatch(client, client, 'task-1').subscribe(() => undefined),
    ];
    for (const look of looks) {
      for (const key of keys) store.setItem(key, 's1');
      look();
      await eventually(() => keys.every((key) => store.getItem(key) === undefined));
    }
    // A reader will come back for them.
    store.setItem('taskbridge:task-1:cursor', '1-0');
    for (const key of keys) store.setItem(key, 's1');
    await client.waitForResult('task-1');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(keys.map((key) => store.getItem(key))).toEqual(['s1', 's1']);
  });

  it('does not take a clock that was set back for a silence, or for a wait', async () => {
    const served = serveSession(({ taskId }, socket) => {
      socket.send(frameOf(progress(1), taskId));
      if (taskId === 'task-1') return;
      const timer = setInterval(() => socket.send(frameOf(progress(1), taskId)), 20);
      socket.on('close', () => clearInterval(timer));
    });
    const recovery = { livenessTimeoutMs: 3_000 };
    const session = fake.clientOf({ transports: ['websocket'], webSocket: WebSocket, recovery }).session();
    const controller = new AbortController();
    const runs = ['task-1', 'task-2'].map(async (taskId) => {
      for await (const { type } of session.observeTaskEvents(taskId, controller)) expect(type).toBe('TASK_PROGRESS');
    });
    await eventually(() => served.frames.length === 2);
    const now = Date.now.bind(Date);
    Date.now = () => now() - 3_600_000;
    try {
      await new Promise((resolve) => setTimeout(resolve, 4_500));
    } finally {
      Date.now = now;
    }
    expect(fake.diagnostics.filter(({ kind }) => kind === 'disconnected')).toEqual([]);
    controller.abort(new Error('seen'));
    for (const run of runs) await expect(run).rejects.toThrow('seen');
    session.close();
  });

  it('can be aborted while its listener for gaps thinks', async () => {
    fake.answer = streams(
      `data: ${JSON.stringify({ type: 'GAP', retainedFromEventId: '5-0', snapshot: snapshot('RUNNING', 6) })}\n\n`,
    );
    const controller = new AbortController();
    const onGap = (): Promise<void> => {
      controller.abort(new Error('enough'));
      return never();
    };
    await expect(read(fake.clientOf(), { signal: controller.signal, onGap })).rejects.toThrow('enough');
  });

  it('ends when a refused token cannot be refreshed, but not for want of a network', async () => {
    const good = streams(completed(1));
    fake.answer = (request, response) =>
      request.headers.authorization === 'good'
        ? good(request, response)
        : json(response, { code: 'AUTHENTICATION_ERROR', message: 'expired' }, 401);
    const failures = [new TypeError('fetch failed'), new Error('signed out')];
    const authHeaderProvider = (_: unknown, isRefresh: boolean): Record<string, string> => {
      const failure = isRefresh ? failures.shift() : undefined;
      if (failure) throw failure;
      return { authorization: isRefresh ? 'good' : 'old' };
    };
    const client = fake.clientOf({ authHeaderProvider });
    const cause = failures[1];
    await expect(read(client)).rejects.toMatchObject({ code: 'AUTHENTICATION_ERROR', cause });
    expect(failures).toEqual([]);
    expect(await read(client)).toEqual(['1-0']);
  });

  it.each(['getItem', 'setItem', 'removeItem'] as const)('can be aborted while %s of its store hangs', async (name) => {
    const store: CheckpointStore = new MemoryStore();
    store[name] = never;
    fake.answer = streams(progress(1) + completed(2));
    const signal = AbortSignal.timeout(300);
    await expect(read(fake.clientOf({ store }), { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('goes on without a store that hangs, and lets answers and other tasks through', async () => {
    const store: CheckpointStore = { getItem: never, setItem: never, removeItem: never };
    fake.answer = (_, response) => json(response, { taskId: 'task-1', status: 'ACCEPTED' });
    const client = fake.clientOf({ store, commandTimeoutMs: 100 });
    const action = { suspendId: 's1', actionType: 'ok' };
    expect(await client.submitAction('task-1', action)).toMatchObject({ status: 'ACCEPTED' });
    fake.answer = streams(progress(1) + completed(2));
    expect(await read(client)).toEqual(['1-0', '2-0']);
    const slow = fake.clientOf({ store, commandTimeoutMs: 1_000 });
    fake.answer = (_, response) => json(response, { taskId: 'task-1', status: 'ACCEPTED' });
    const signal = AbortSignal.timeout(300);
    expect(await slow.submitAction('task-1', action, { signal })).toMatchObject({ status: 'ACCEPTED' });
  });

  it('waits once for a store that hangs, not at each event', async () => {
    const store: CheckpointStore = new MemoryStore();
    store.setItem = never;
    fake.answer = streams(Array.from({ length: 30 }, (_, index) => progress(index + 1)).join('') + completed(31));
    expect(await read(fake.clientOf({ store, commandTimeoutMs: 200 }))).toHaveLength(31);
    expect(fake.diagnostics.filter(({ kind }) => kind === 'store-failure')).toHaveLength(1);
  });

  it('writes what is wanted in the end once a slow store is done, and reads it before', async () => {
    const { store, writes } = slowStore();
    fake.answer = streams(progress(1) + progress(2) + progress(3) + progress(4), progress(4) + completed(5));
    const client = fake.clientOf({ store, commandTimeoutMs: 50 });
    await leaveAt(client, '4-0');
    expect(writes.map(({ text }) => text)).toEqual(['1-0']);
    const again = client.observeTaskEvents('task-1')[Symbol.asyncIterator]();
    expect(await again.next()).toMatchObject({ value: { eventId: '4-0' } });
    expect(fake.asked.at(-1)).toContain('lastEventId=3-0');
    writes[0].finish();
    await eventually(() => writes.length === 2);
    expect(writes[1].text).toBe('3-0');
    writes[1].finish();
    await again.return?.();
    await eventually(() => store.getItem('taskbridge:task-1:cursor') === '3-0');
  });

  it('leaves no checkpoint behind when a write comes through after the end', async () => {
    const { store, writes } = slowStore();
    fake.answer = streams(progress(1) + progress(2) + completed(3));
    expect(await read(fake.clientOf({ store, commandTimeoutMs: 50 }))).toEqual(['1-0', '2-0', '3-0']);
    writes[0].finish();
    await eventually(() => writes.length === 2);
    expect(store.getItem('taskbridge:task-1:cursor')).toBe('1-0');
    writes[1].finish();
    expect(writes[1].text).toBeUndefined();
    await eventually(() => store.getItem('taskbridge:task-1:cursor') === undefined);
  });

  it('does not wait for a provider of headers that hangs', async () => {
    fake.answer = (_, response) => json(response, { code: 'AUTHENTICATION_ERROR', message: 'no' }, 401);
    const hangs = fake.clientOf({ authHeaderProvider: never, commandTimeoutMs: 50, commandAttempts: 2 });
    await expect(hangs.getTask('task-1')).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
    const signal = AbortSignal.timeout(100);
    const call = fake.clientOf({ authHeaderProvider: never }).getTask('task-1', { signal });
    await expect(call).rejects.toMatchObject({ name: 'TimeoutError' });
    let refreshes = 0;
    const client = fake.clientOf({
      authHeaderProvider: (__, force) => (force && refreshes++ === 0 ? never() : {}),
      commandTimeoutMs: 200,
    });
    await expect(client.getTask('task-1')).rejects.toMatchObject({ code: 'AUTHENTICATION_ERROR' });
  });

  it('rejects faults of the program at once', async () => {
    fake.answer = (_, response) => json(response, snapshot('RUNNING', 1));
    const input: Record<string, unknown> = {};
    input['self'] = input;
    await expect(fake.clientOf().startTask({ taskType: 'x', input })).rejects.toThrow(TypeError);
    const fault = new Error('a bug');
    const authHeaderProvider = (): never => {
      throw fault;
    };
    await expect(fake.clientOf({ authHeaderProvider }).getTask('task-1')).rejects.toBe(fault);
    expect(fake.asked).toEqual([]);
  });

  it('follows no redirect, and takes no other answer for TaskBridge’s', async () => {
    fake.answer = (_, response) => void response.writeHead(307, { location: '/elsewhere' }).end();
    await expect(fake.clientOf().getTask('task-1')).rejects.toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 307 });
    for (const body of ['<html>', '{}', 'null', '{"taskId":5}']) {
      fake.answer = (_, response) => void response.writeHead(200).end(body);
      await expect(fake.clientOf().getTask('task-1')).rejects.toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 200 });
      await expect(fake.clientOf().listTasks()).rejects.toMatchObject({ code: 'UNEXPECTED_ANSWER' });
    }
    expect(fake.asked).toHaveLength(9);
  });

  it('reads a hole in the numbers again before it is a gap', async () => {
    fake.answer = streams(progress(1) + progress(3), progress(2) + progress(3) + completed(4));
    expect(await read(fake.clientOf())).toEqual(['1-0', '2-0', '3-0', '4-0']);
    fake.answer = streams(progress(1) + progress(3), progress(3) + completed(4));
    await expect(read(fake.clientOf())).rejects.toMatchObject({ code: 'EVENT_GAP' });
  });

  it.each([
    ['an event without a number', 'data: {"type":"TASK_PROGRESS","taskId":"task-1","eventId":"two","payload":{}}\n\n'],
    ['something that has no type', 'data: {"eventId":"2-0"}\n\n'],
    ['half a document', 'data: {"type":"TASK_PRO\n\n'],
    ['a list', 'data: []\n\n'],
    ['a gap without a snapshot', 'data: {"type":"GAP","retainedFromEventId":"5-0"}\n\n'],
    ['a gap from nowhere', 'data: {"type":"GAP","retainedFromEventId":"x","snapshot":{"lastEventId":"5-0"}}\n\n'],
  ])('reads the log again after %s', async (_, broken) => {
    fake.answer = streams(progress(1) + broken, progress(2) + completed(3));
    expect(await read(fake.clientOf())).toEqual(['1-0', '2-0', '3-0']);
    expect(fake.diagnostics.filter(({ kind }) => kind === 'malformed-payload')).toHaveLength(1);
  });

  it.each([
    ['TASK_SUSPENDED', {}],
    ['TASK_SUSPENDED', { suspendId: 's1', allowedActions: null }],
    ['TASK_PROGRESS', { progress: 'half' }],
    ['TASK_FAILED', { code: 'X' }],
    ['TASK_STARTED', null],
  ])('passes on %s with the payload %j as UNKNOWN', async (type, payload) => {
    fake.answer = streams(progress(1) + event(2, type, payload) + completed(3));
    const seen: unknown[] = [];
    for await (const one of fake.clientOf().observeTaskEvents('task-1')) seen.push(one);
    expect(seen).toMatchObject([
      { eventId: '1-0' },
      { type: 'UNKNOWN', wireType: type, payload, eventId: '2-0' },
      { eventId: '3-0' },
    ]);
    expect(fake.diagnostics.filter(({ kind }) => kind === 'unknown-event')).toHaveLength(1);
  });

  it('reads the log again after a refusal that tells of no gap', async () => {
    const good = streams(completed(1));
    fake.answer = (request, response) =>
      fake.asked.length > 1 ? good(request, response) : json(response, { code: 'EVENT_GAP', message: 'gone' }, 410);
    expect(await read(fake.clientOf())).toEqual(['1-0']);
    expect(fake.diagnostics.map(({ kind }) => kind)).toContain('malformed-payload');
  });

  it('drops a stored checkpoint that is past the end, and one of a task that is gone', async () => {
    const store = new MemoryStore();
    const key = 'taskbridge:task-1:cursor';
    store.setItem(key, '99-0');
    const good = streams(completed(1));
    fake.answer = (request, response) =>
      request.url?.includes('99-0')
        ? json(response, { code: 'INVALID_CURSOR', message: 'past the end' }, 400)
        : good(request, response);
    await expect(read(fake.clientOf({ store }), { lastEventId: '99-0' })).rejects.toMatchObject({
      code: 'INVALID_CURSOR',
    });
    expect(await read(fake.clientOf({ store }))).toEqual(['1-0']);
    expect(fake.diagnostics).toContainEqual(expect.objectContaining({ kind: 'stale-checkpoint', lastEventId: '99-0' }));
    store.setItem(key, '1-0');
    fake.answer = (_, response) => json(response, { code: 'TASK_NOT_FOUND', message: 'gone' }, 404);
    await expect(read(fake.clientOf({ store }))).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    expect(store.getItem(key)).toBeUndefined();
  });

  it('takes Infinity for never', async () => {
    fake.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': ping\n\n');
      setTimeout(() => response.end(completed(1)), 200);
    };
    const forever = Number.POSITIVE_INFINITY;
    const recovery = { livenessTimeoutMs: forever, openTimeoutMs: forever, climbAfterMs: forever };
    expect(await read(fake.clientOf({ recovery, commandTimeoutMs: forever }))).toEqual(['1-0']);
    expect(fake.asked).toHaveLength(1);
    let calls = 0;
    const cancel = after(2 ** 40, () => (calls += 1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    cancel();
    expect(calls).toBe(0);
  });

  it('shows a task whose first snapshot had to be tried again', async () => {
    fake.answer = (_, response) =>
      fake.asked.length < 4 ? response.destroy() : json(response, snapshot('COMPLETED', 3));
    const client = fake.clientOf({ commandAttempts: 1 });
    const watch = new TaskWatch(client, client, 'task-1');
    const unsubscribe = watch.subscribe(() => undefined);
    await eventually(() => watch.current().status === 'COMPLETED');
    expect(watch.current().error).toBeUndefined();
    unsubscribe();
  });

  it('lets the other tasks of a session through while the headers of one hang', async () => {
    const sockets = new WebSocketServer({ server: fake.server });
    sockets.on('connection', (socket) => {
      socket.on('message', (message) => {
        const { taskId } = JSON.parse((message as Buffer).toString()) as { taskId: string };
        socket.send('{"type":"LATER_FRAME","taskId":5}');
        socket.send(completed(1).slice('data: '.length).replace('task-1', taskId));
      });
    });
    let calls = 0;
    const client = fake.clientOf({
      transports: ['websocket'],
      webSocket: WebSocket,
      webSocketAuth: 'header',
      authHeaderProvider: () => (calls++ === 0 ? never() : {}),
      recovery: { openTimeoutMs: 1_000 },
    });
    const session = client.session();
    const ends = ['task-1', 'task-2', 'task-3'].map(async (taskId) => {
      for await (const { type } of session.observeTaskEvents(taskId)) return type;
      return undefined;
    });
    expect(await Promise.all(ends)).toEqual(['TASK_COMPLETED', 'TASK_COMPLETED', 'TASK_COMPLETED']);
    expect(fake.diagnostics.filter(({ kind }) => kind === 'malformed-payload')).toEqual([]);
    session.close();
    sockets.close();
  });

  it('connects a session again after a close that cannot be any one task’s fault', async () => {
    const served = serveSession(({ taskId }, socket, connection) => {
      socket.send(frameOf(progress(1), taskId));
      if (connection > 1) socket.send(frameOf(completed(2), taskId));
      else if (taskId === 'task-2') socket.close(1008, 'INVALID_REQUEST: taskId must not be empty');
    });
    const session = fake.clientOf({ transports: ['websocket'], webSocket: WebSocket }).session();
    const runs = ['task-1', 'task-2'].map(async (taskId) => {
      const seen: string[] = [];
      for await (const { eventId } of session.observeTaskEvents(taskId)) seen.push(eventId);
      return seen;
    });
    expect(await Promise.all(runs)).toEqual([
      ['1-0', '2-0'],
      ['1-0', '2-0'],
    ]);
    expect(served.connections()).toBe(2);
    session.close();
  });

  it('reads all logs of a session again after a frame that may have been of any of them', async () => {
    const served = serveSession(({ action, taskId }, socket) => {
      if (action !== 'subscribe') return;
      const tries = served.frames.filter((frame) => frame.taskId === taskId && frame.action === 'subscribe').length;
      if (tries === 1) socket.send(frameOf(progress(1), taskId));
      else [progress(1), completed(2)].forEach((text) => socket.send(frameOf(text, taskId)));
      if (tries === 1 && served.frames.length === 2) socket.send('{"type":"TASK_COM');
    });
    const session = fake.clientOf({ transports: ['websocket'], webSocket: WebSocket }).session();
    const runs = ['task-1', 'task-2'].map(async (taskId) => {
      const seen: string[] = [];
      for await (const { eventId } of session.observeTaskEvents(taskId)) seen.push(eventId);
      return seen;
    });
    const all = ['1-0', '2-0'];
    expect(await Promise.all(runs)).toEqual([all, all]);
    const malformed = fake.diagnostics.filter(({ kind }) => kind === 'malformed-payload');
    expect(malformed).toMatchObject([{ taskId: 'task-1' }, { taskId: 'task-2' }]);
    session.close();
  });

  it('leaves a newer observation of a task alone when one that is over goes away', async () => {
    const held: WebSocket[] = [];
    const served = serveSession(({ action, taskId }, socket) => {
      if (action !== 'subscribe') return;
      socket.send(frameOf(progress(1), taskId));
      if (taskId !== 'task-1') return;
      if (held.push(socket) > 1) return;
      socket.send(JSON.stringify({ type: 'SUBSCRIPTION_ENDED', taskId, reason: 'TERMINAL' }));
    });
    const session = fake.clientOf({ transports: ['websocket'], webSocket: WebSocket }).session();
    const follow = (taskId: string): AsyncIterator<unknown> =>
      session.observeTaskEvents(taskId, { checkpoint: false })[Symbol.asyncIterator]();
    const [old, other, newer] = [follow('task-1'), follow('task-2'), follow('task-1')];
    await old.next();
    // Comes after the end of the first subscription.
    await other.next();
    await newer.next();
    await old.return?.();
    const unsubscribed = served.frames.filter(({ action }) => action === 'unsubscribe');
    held[1]?.send(frameOf(completed(2), 'task-1'));
    expect(await newer.next()).toMatchObject({ value: { eventId: '2-0' } });
    expect(unsubscribed).toEqual([]);
    expect(served.connections()).toBe(1);
    session.close();
  });
});
