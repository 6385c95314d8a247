import { on } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLOSE_CODES, isTaskEventType, type TaskEvent, type WebSocketServerFrame } from '@taskbridge/protocol';
import { WebSocket } from 'ws';
import type { TaskClient } from './task-client.js';

/** The server sends a heartbeat every 15 s, so this long a silence means that the connection is dead. */
const SILENCE_MS = 45_000;

const MAX_RECONNECTS = 20;

interface Connection {
  taskId: string;
  lastEventId: string | undefined;
  signal: AbortSignal;
}

/**
 * The task's events over the WebSocket, from the first to the terminal one, each once. A dropped connection is opened
 * again after the last event that was seen. Throws when the server refuses or stays away, and when the signal aborts.
 */
export async function* followTask(client: TaskClient, taskId: string, signal: AbortSignal): AsyncGenerator<TaskEvent> {
  let lastEventId: string | undefined;
  let problem = '';
  for (let drops = 0; drops <= MAX_RECONNECTS; drops++) {
    const socket = connect(client, { taskId, lastEventId, signal });
    const end = endOf(socket);
    for await (const event of eventsOf(socket, signal)) {
      lastEventId = event.eventId;
      drops = 0;
      yield event;
    }
    const { code, reason } = await end;
    if (code === CLOSE_CODES.normal) return;
    if (code === CLOSE_CODES.refused) throw new Error(`The server refused to follow task ${taskId}: ${reason}`);
    problem = reason;
    await sleep(Math.min(2_000, 100 * 2 ** drops), undefined, { signal });
  }
  throw new Error(`Lost the connection to ${client.url}: ${problem}`);
}

function connect(client: TaskClient, { taskId, lastEventId }: Connection): WebSocket {
  const socket = new WebSocket(`${client.url.replace(/^http/, 'ws')}/api/v1/tasks/ws`, { headers: client.headers });
  socket.once('open', () => socket.send(JSON.stringify({ action: 'subscribe', taskId, lastEventId })));
  return socket;
}

interface End {
  code: number;
  reason: string;
}

/** Settles when the socket has closed; a connection that could not be made closes too, after its error. */
function endOf(socket: WebSocket): Promise<End> {
  let problem = '';
  socket.on('error', (error) => (problem = error.message));
  return new Promise((resolve) => {
    socket.once('close', (code, reason) =>
      resolve({ code, reason: reason.toString() || problem || `closed with ${code}` }),
    );
  });
}

/** Ends with the socket, however it ends. */
async function* eventsOf(socket: WebSocket, signal: AbortSignal): AsyncGenerator<TaskEvent> {
  const silence = setTimeout(() => socket.terminate(), SILENCE_MS);
  try {
    for await (const [data] of on(socket, 'message', { signal, close: ['close'] })) {
      silence.refresh();
      const frame = JSON.parse(`${data}`) as WebSocketServerFrame;
      if (isTaskEventType(frame.type)) yield frame as TaskEvent;
    }
  } catch (error) {
    if (signal.aborted) throw error;
  } finally {
    clearTimeout(silence);
    socket.terminate();
  }
}
