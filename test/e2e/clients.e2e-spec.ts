import type { TaskEvent } from '@taskbridge/protocol';
import { EventSource } from 'eventsource';
import { EventSource as UndiciEventSource } from 'undici';
import { type TestApp, startTestApp } from '../support/app.js';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import { eventually } from '../support/eventually.js';
import { SCRIPTED_HANDLERS } from '../support/scripted-handlers.js';
import { oneTo, readWebSocket, seqsOf } from '../support/stream-clients.js';

interface EventSourceLike {
  addEventListener(type: 'message', listener: (message: { data: unknown }) => void): void;
  readonly readyState: number;
  close(): void;
}

const TICKS = 60;
const ALL = oneTo(TICKS + 2);

describe('well-known clients follow a task across cuts in mid-stream', () => {
  let host: TestApp;

  beforeAll(async () => {
    host = await startTestApp({ providers: SCRIPTED_HANDLERS });
  });

  afterAll(() => host.close());

  const startTicks = () => host.as('ada').create('ticks', { ticks: TICKS, delayMs: 10 });

  /** Collects what `onmessage` sees until the server has answered that there is nothing left. */
  const followWithEventSource = async (
    target: TestApp,
    open: (url: string) => EventSourceLike,
  ): Promise<TaskEvent[]> => {
    const taskId = await startTicks();
    const proxy = await startCuttingProxy(target.url, { cutAfterBytes: 5_000, cuts: 2 });
    const events: TaskEvent[] = [];
    const source = open(`${proxy.url}/api/v1/tasks/${taskId}/events/stream`);
    try {
      source.addEventListener('message', ({ data }) => {
        const frame = JSON.parse(String(data)) as TaskEvent;
        if (frame.type.startsWith('TASK_')) events.push(frame);
      });
      await eventually(() => source.readyState === 2, 30_000);
      expect(proxy.accepted).toBeGreaterThanOrEqual(3);
    } finally {
      source.close();
      await proxy.close();
    }
    return events;
  };

  it('the eventsource package, which then stops by itself', async () => {
    const statuses: number[] = [];
    const withToken = async (input: string | URL, init: { headers: Record<string, string> }) => {
      const response = await fetch(input, { ...init, headers: { ...init.headers, authorization: 'Bearer ada' } });
      statuses.push(response.status);
      return response;
    };
    const events = await followWithEventSource(host, (url) => new EventSource(url, { fetch: withToken }));
    expect(seqsOf(events)).toEqual(ALL);
    expect(statuses.filter((status) => status === 204)).toEqual([204]);
    expect(statuses.at(-1)).toBe(204);
  });

  it('a ws client that resumes with its last event id', async () => {
    const taskId = await startTicks();
    const proxy = await startCuttingProxy(host.url, { cutAfterBytes: 4_000, cuts: 2 });
    const events: TaskEvent[] = [];
    try {
      let code = 0;
      for (let connections = 0; code !== 1000 && connections < 10; connections += 1) {
        const lastEventId = events.at(-1)?.eventId;
        const outcome = await readWebSocket(proxy.url, taskId, {
          subject: 'ada',
          ...(lastEventId !== undefined && { lastEventId }),
          onEvent: (event) => events.push(event),
        }).catch(() => undefined);
        code = outcome?.code ?? 0;
      }
      expect([code, seqsOf(events)]).toEqual([1000, ALL]);
      expect(proxy.accepted).toBe(3);
    } finally {
      await proxy.close();
    }
  });

  it('undici’s EventSource', async () => {
    const open = await startTestApp({
      providers: SCRIPTED_HANDLERS,
      database: host.database,
      taskBridge: {
        // A client that can set no headers.
        authContextResolver: {
          useFactory: () => ({ resolve: () => ({ subject: 'ada', scopes: [], appId: null, attributes: {} }) }),
        },
      },
    });
    try {
      const events = await followWithEventSource(open, (url) => new UndiciEventSource(url));
      expect(seqsOf(events)).toEqual(ALL);
    } finally {
      await open.close();
    }
  });
});
