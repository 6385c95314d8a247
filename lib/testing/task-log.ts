import { isTerminalEventType, type TaskEventType } from '@taskbridge/protocol';
import type { EventStore } from '../stores/event.store.js';
import type { LogEvent } from '../stores/records.js';

/** One log entry with its payload parsed. */
export interface LogEntry {
  type: TaskEventType;
  payload: Record<string, unknown>;
}

const PAGE = 500;

/** The task's whole log as it is now. */
export async function readLog(events: EventStore, taskId: string): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  let page: LogEvent[];
  do {
    page = await events.listAfter(taskId, entries.length, PAGE);
    entries.push(...page.map(toEntry));
  } while (page.length === PAGE);
  return entries;
}

/** Waits until the log satisfies the condition and returns it; rejects with the log so far after `limitMs`. */
export async function waitForLog(
  events: EventStore,
  taskId: string,
  condition: (log: readonly LogEntry[]) => boolean,
  limitMs = 15_000,
): Promise<LogEntry[]> {
  const giveUpAt = Date.now() + limitMs;
  let log = await readLog(events, taskId);
  while (!condition(log)) {
    const timeoutMs = giveUpAt - Date.now();
    if (timeoutMs <= 0) {
      throw new Error(
        `Task ${taskId} did not get there within ${limitMs} ms: ${log.map(({ type }) => type).join(', ')}`,
      );
    }
    await events.waitAfter(taskId, log.length, { limit: 1, timeoutMs: Math.min(timeoutMs, 1_000) });
    log = await readLog(events, taskId);
  }
  return log;
}

/** Waits for the task's terminal event; the log is then complete. */
export function waitForEnd(events: EventStore, taskId: string, limitMs?: number): Promise<LogEntry[]> {
  return waitForLog(events, taskId, (log) => log.some(({ type }) => isTerminalEventType(type)), limitMs);
}

function toEntry(event: LogEvent): LogEntry {
  return { type: event.type, payload: JSON.parse(event.payloadJson) as Record<string, unknown> };
}
