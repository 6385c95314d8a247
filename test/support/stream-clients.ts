import type { TaskEvent } from '@taskbridge/protocol';
import { WebSocket } from 'ws';

/** One SSE frame as received: its `id:` if it had one, and its parsed `data:`. */
export interface SseFrame {
  id: string | undefined;
  data: Record<string, unknown>;
}

export interface SseOutcome {
  status: number;
  headers: Headers;
  frames: SseFrame[];
  /** The envelopes of real events, heartbeats left out. */
  events: TaskEvent[];
  /** The JSON body of a refusal. */
  refusal: Record<string, unknown> | undefined;
}

export interface StreamRequest {
  subject: string;
  lastEventId?: string;
  signal?: AbortSignal;
  onEvent?(event: TaskEvent): void;
  /** Everything, heartbeats and confirmations included. */
  onFrame?(frame: Record<string, unknown>): void;
}

/** Reads a task's SSE stream until the server ends it; a broken connection rejects. */
export async function readSse(url: string, taskId: string, request: StreamRequest): Promise<SseOutcome> {
  const response = await fetch(`${url}/api/v1/tasks/${taskId}/events/stream`, {
    headers: {
      authorization: `Bearer ${request.subject}`,
      ...(request.lastEventId !== undefined && { 'last-event-id': request.lastEventId }),
    },
    ...(request.signal && { signal: request.signal }),
  });
  const outcome: SseOutcome = {
    status: response.status,
    headers: response.headers,
    frames: [],
    events: [],
    refusal: undefined,
  };
  if (response.status !== 200) {
    const text = await response.text();
    if (text !== '') outcome.refusal = JSON.parse(text) as Record<string, unknown>;
    return outcome;
  }
  let buffered = '';
  for await (const chunk of response.body ?? []) {
    buffered += Buffer.from(chunk).toString('utf8');
    const blocks = buffered.split('\n\n');
    buffered = blocks.pop() ?? '';
    for (const block of blocks) take(block, outcome, request);
  }
  return outcome;
}

function take(block: string, outcome: SseOutcome, request: StreamRequest): void {
  const lines = block.split('\n');
  const data = lines.find((line) => line.startsWith('data:'))?.slice(5);
  if (data === undefined) return;
  if (lines.some((line) => line.startsWith('event:')))
    throw new Error('A frame with an event: line is not seen by onmessage');
  const frame = {
    id: lines
      .find((line) => line.startsWith('id:'))
      ?.slice(3)
      .trim(),
    data: JSON.parse(data),
  };
  outcome.frames.push(frame);
  request.onFrame?.(frame.data);
  if (frame.data.type === 'HEARTBEAT') return;
  outcome.events.push(frame.data as TaskEvent);
  request.onEvent?.(frame.data as TaskEvent);
}

export interface SocketOutcome {
  frames: Record<string, unknown>[];
  events: TaskEvent[];
  code: number;
  reason: string;
}

/** Follows a task over the WebSocket until the server closes it. */
export function readWebSocket(url: string, taskId: string, request: StreamRequest): Promise<SocketOutcome> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/tasks/ws`, {
    headers: { authorization: `Bearer ${request.subject}` },
  });
  request.signal?.addEventListener('abort', () => socket.terminate());
  const outcome: SocketOutcome = { frames: [], events: [], code: 0, reason: '' };
  socket.on('open', () => {
    const { lastEventId } = request;
    socket.send(JSON.stringify({ action: 'subscribe', taskId, ...(lastEventId !== undefined && { lastEventId }) }));
  });
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString('utf8')) as Record<string, unknown>;
    outcome.frames.push(frame);
    request.onFrame?.(frame);
    if (!String(frame['type']).startsWith('TASK_')) return;
    outcome.events.push(frame as unknown as TaskEvent);
    request.onEvent?.(frame as unknown as TaskEvent);
  });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', (code, reason) => resolve({ ...outcome, code, reason: reason.toString('utf8') }));
  });
}

/** Polls from the cursor to the terminal event. */
export async function readPolls(url: string, taskId: string, request: StreamRequest): Promise<TaskEvent[]> {
  const events: TaskEvent[] = [];
  let cursor = request.lastEventId ?? '';
  for (;;) {
    const response = await fetch(
      `${url}/api/v1/tasks/${taskId}/events?afterEventId=${cursor}&maxEvents=7&waitTimeoutMs=10000`,
      { headers: { authorization: `Bearer ${request.subject}` } },
    );
    if (response.status !== 200) throw new Error(`The poll answered ${response.status} ${await response.text()}`);
    const page = (await response.json()) as { events: TaskEvent[]; nextAfterEventId: string | null };
    for (const event of page.events) {
      events.push(event);
      request.onEvent?.(event);
    }
    cursor = page.nextAfterEventId ?? '';
    if (/^TASK_(COMPLETED|FAILED|CANCELLED)$/.test(events.at(-1)?.type ?? '')) return events;
  }
}

/** The sequence numbers of events, for comparing with 1, 2, 3 … */
export function seqsOf(events: readonly TaskEvent[]): number[] {
  return events.map(({ eventId }) => Number.parseInt(eventId, 10));
}

/** 1 … n. */
export function oneTo(n: number): number[] {
  return Array.from({ length: n }, (_, index) => index + 1);
}
