import { TASK_EVENT_TYPES } from '@taskbridge/protocol';
import type { LogEvent } from '../stores/records.js';
import type { WorkKind } from './wake-ups.js';

/** NOTIFY refuses payloads of 8000 bytes and more. */
export const MAX_MESSAGE_BYTES = 7_900;

/** A notification as its receiver understands it. */
export interface Notification {
  origin: string;
  events: LogEvent[];
  hints: string[];
  work: [WorkKind, string][];
}

/**
 * What a message holds besides `o`, the process it comes from: events as [task id, seq, type code, creation in epoch ms,
 * payload text], hints as ids of tasks, work as [kind, task id]. Short names, because events share its 7.9 KB.
 */
type Section = 'e' | 'h' | 'w';

const WORK_KINDS: readonly WorkKind[] = ['runnable', 'handoff', 'cancellation'];

const PROBE = /^\{"o":"[^"]*","p":(\d+)\}$/;

/** JSON of one event's entry. */
export function eventEntry({ taskId, seq, type, createdAt, payloadJson }: LogEvent): string {
  const code = TASK_EVENT_TYPES.indexOf(type);
  return `["${taskId}",${seq},${code},${Date.parse(createdAt)},${JSON.stringify(payloadJson)}]`;
}

/** The message of a probe. */
export function probeMessage(origin: string, probe: number): string {
  return JSON.stringify({ o: origin, p: probe });
}

/** How long an entry may be that fits a message by itself, in bytes. */
export function maxEntryBytes(origin: string): number {
  return MAX_MESSAGE_BYTES - Buffer.byteLength(wrap(origin, 'e', []));
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

/** `undefined` for what no TaskBridge process has sent, down to the last value: anybody who may connect may notify. */
export function parseNotification(payload: string): Notification | undefined {
  try {
    const { o, e, h, w } = asMessage(JSON.parse(payload));
    if (typeof o !== 'string') return undefined;
    return { origin: o, events: listOf(e, toLogEvent), hints: listOf(h, toTaskId), work: listOf(w, toWork) };
  } catch {
    return undefined;
  }
}

function asMessage(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** Throws unless it is a list of what `toEntry` takes; a section that is not there is empty. */
function listOf<T>(section: unknown, toEntry: (entry: unknown) => T): T[] {
  if (section === undefined) return [];
  if (!Array.isArray(section)) throw new TypeError('Not a list');
  return section.map(toEntry);
}

function toLogEvent(entry: unknown): LogEvent {
  const [taskId, seq, code, createdMs, payloadJson] = asTuple(entry, 5);
  const type = typeof code === 'number' ? TASK_EVENT_TYPES[code] : undefined;
  if (type === undefined || typeof createdMs !== 'number') throw new TypeError('Not an event');
  if (!Number.isSafeInteger(seq) || Number(seq) < 1) throw new TypeError('Not the number of an event');
  const createdAt = new Date(createdMs).toISOString();
  return { taskId: toTaskId(taskId), seq: Number(seq), type, createdAt, payloadJson: toPayload(payloadJson) };
}

/** Goes to clients as it is, so it has to be a JSON object. */
function toPayload(text: unknown): string {
  if (typeof text !== 'string') throw new TypeError('Not a payload');
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('Not a payload');
  return text;
}

function toWork(entry: unknown): [WorkKind, string] {
  const [kind, taskId] = asTuple(entry, 2);
  const known = WORK_KINDS.find((name) => name === kind);
  if (known === undefined) throw new TypeError('Not a kind of work');
  return [known, toTaskId(taskId)];
}

function toTaskId(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new TypeError('Not the id of a task');
  return value;
}

function asTuple(value: unknown, length: number): unknown[] {
  if (!Array.isArray(value) || value.length !== length) throw new TypeError('Not an entry');
  return value;
}

function wrap(origin: string, section: Section, entries: readonly string[]): string {
  return `{"o":${JSON.stringify(origin)},"${section}":[${entries.join(',')}]}`;
}
