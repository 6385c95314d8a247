import { TASK_EVENT_TYPES } from '@taskbridge/protocol';
import type { LogEvent } from '../stores/records.js';
import type { WorkKind } from './wake-ups.js';

/** NOTIFY refuses payloads of 8000 bytes and more. */
export const MAX_MESSAGE_BYTES = 7_900;

/** What one notification says. Short names, because events share its 7.9 KB. */
interface NotifyMessage {
  /** Origin: the process that sent it. */
  o: string;
  /** Events: task id, seq, type code, creation in epoch ms, payload text. */
  e?: [string, number, number, number, string][];
  /** Hints: ids of tasks whose log has grown. */
  h?: string[];
  /** Work. */
  w?: [WorkKind, string][];
}

/** A notification as its receiver understands it. */
export interface Notification {
  origin: string;
  events: LogEvent[];
  hints: string[];
  work: [WorkKind, string][];
}

type Section = 'e' | 'h' | 'w';

const PROBE = /^\{"o":"[^"]*","p":(\d+)\}$/;

/** JSON of one event's entry. */
export function eventEntry({ taskId, seq, type, createdAt, payloadJson }: LogEvent): string {
  return JSON.stringify([taskId, seq, TASK_EVENT_TYPES.indexOf(type), Date.parse(createdAt), payloadJson]);
}

/** The message of a probe. */
export function probeMessage(origin: string, probe: number): string {
  return JSON.stringify({ o: origin, p: probe });
}

/** Whether an entry fits a message at all, by itself. */
export function fitsMessage(entry: string, origin: string): boolean {
  return Buffer.byteLength(entry) <= MAX_MESSAGE_BYTES - Buffer.byteLength(wrap(origin, 'e', []));
}

/** Packs entries of one section, each of which fits, into as few messages as their order allows. */
export function packMessages(origin: string, section: Section, entries: readonly string[]): string[] {
  const emptyBytes = Buffer.byteLength(wrap(origin, section, []));
  const messages: string[] = [];
  let open: string[] = [];
  let bytes = emptyBytes;
  for (const entry of entries) {
    const entryBytes = Buffer.byteLength(entry) + 1;
    if (open.length > 0 && bytes + entryBytes > MAX_MESSAGE_BYTES) {
      messages.push(wrap(origin, section, open));
      open = [];
      bytes = emptyBytes;
    }
    open.push(entry);
    bytes += entryBytes;
  }
  return open.length === 0 ? messages : [...messages, wrap(origin, section, open)];
}

/** Tells a process its own messages without parsing them: they come back to it like everybody's. */
export function isFrom(origin: string, payload: string): boolean {
  return payload.startsWith(`{"o":${JSON.stringify(origin)},`);
}

/** The number in a probe message; `undefined` for any other. */
export function probeOf(payload: string): number | undefined {
  const match = PROBE.exec(payload);
  return match ? Number(match[1]) : undefined;
}

/** `undefined` for what no TaskBridge process has sent: anybody who may connect may notify. */
export function parseNotification(payload: string): Notification | undefined {
  try {
    const { o, e = [], h = [], w = [] } = JSON.parse(payload) as NotifyMessage;
    if (typeof o !== 'string') return undefined;
    return { origin: o, events: e.map(toLogEvent), hints: h, work: w };
  } catch {
    return undefined;
  }
}

function toLogEvent([taskId, seq, code, createdMs, payloadJson]: [string, number, number, number, string]): LogEvent {
  const type = TASK_EVENT_TYPES[code];
  if (type === undefined || typeof payloadJson !== 'string') throw new TypeError('Not an event');
  return { taskId, seq, type, createdAt: new Date(createdMs).toISOString(), payloadJson };
}

function wrap(origin: string, section: Section, entries: readonly string[]): string {
  return `{"o":${JSON.stringify(origin)},"${section}":[${entries.join(',')}]}`;
}
