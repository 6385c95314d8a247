import { formatEventId, isTerminalEventType, type TaskEvent } from '@taskbridge/protocol';
import type { LogEvent } from '../stores/records.js';

/** What an envelope adds to its payload, roughly, in bytes. */
const ENVELOPE_BYTES = 180;
const LINE_BREAKS = /[\r\n]+/g;

/** One logged event on its way to clients; its envelope is written once for all transports and followers. */
export class EventFrame {
  private envelope: string | undefined;

  constructor(private readonly event: LogEvent) {}

  get seq(): number {
    return this.event.seq;
  }

  /** No event follows this one. */
  get isTerminal(): boolean {
    return isTerminalEventType(this.event.type);
  }

  /** An estimate, good enough for limits on memory and batch size. */
  get sizeBytes(): number {
    return this.event.payloadJson.length + ENVELOPE_BYTES;
  }

  /** The wire envelope on one line: the payload's text goes through as it is stored, never parsed. */
  json(): string {
    this.envelope ??= envelopeOf(this.event);
    return this.envelope;
  }

  /** A fresh object each time: callers may change it. */
  toEvent(): TaskEvent {
    return JSON.parse(this.json()) as TaskEvent;
  }
}

function envelopeOf({ type, taskId, seq, createdAt, payloadJson }: LogEvent): string {
  // A raw line break can only be white space between JSON tokens, but it would end an SSE data line.
  const payload =
    payloadJson.includes('\n') || payloadJson.includes('\r') ? payloadJson.replace(LINE_BREAKS, ' ') : payloadJson;
  return `{"type":"${type}","taskId":"${taskId}","eventId":"${formatEventId(seq)}","createdAt":"${createdAt}","payload":${payload}}`;
}
