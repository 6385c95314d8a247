import type { SuspensionKind } from '@taskbridge/protocol';
import { dateOrNull, epochMs, type RawRow } from './raw-query.js';
import type { JsonObject, OnExpiry, SuspensionStatus, TaskActionReceipt, TaskSuspensionRecord } from './records.js';
import { handoffOf } from './task-row.js';

const RECEIPT = [
  'r.task_id',
  'r.client_action_id',
  'r.suspend_id',
  'r.action_type',
  'r.payload',
  'r.metadata',
  'r.request_hash',
  'r.event_seq',
  'r.accepted_by',
  epochMs('r.accepted_at'),
  'r.resume_state',
  'r.resume_attempts',
  epochMs('r.resume_next_try_at'),
  'r.resume_last_error',
] as const;

const SUSPENSION = [
  's.task_id',
  's.suspend_id',
  's.event_seq',
  's.kind',
  's.reason_code',
  's.allowed_actions',
  's.schema_version',
  epochMs('s.expires_at'),
  's.on_expiry',
  's.ui_hints',
  's.interaction',
  's.action_schemas',
  's.state',
  's.status',
  epochMs('s.created_at'),
  epochMs('s.resolved_at'),
  's.resolved_by',
] as const;

/** Select list that `receiptOf` reads; `r` is the table's alias. */
export const RECEIPT_COLUMNS = RECEIPT.join(', ');

/** Select list that `suspensionOf` reads; `s` is the table's alias. */
export const SUSPENSION_COLUMNS = SUSPENSION.join(', ');

/** Index of the first column after `RECEIPT_COLUMNS`. */
export const AFTER_RECEIPT_COLUMNS = RECEIPT.length;

/** Index of the first column after `SUSPENSION_COLUMNS`. */
export const AFTER_SUSPENSION_COLUMNS = SUSPENSION.length;

/** Reads a row that was selected by `RECEIPT_COLUMNS`. */
export function receiptOf(row: RawRow): TaskActionReceipt {
  return {
    taskId: String(row[0]),
    clientActionId: String(row[1]),
    suspendId: String(row[2]),
    actionType: String(row[3]),
    payload: jsonOrNull(row[4]) as JsonObject | null,
    metadata: jsonOrNull(row[5]) as JsonObject | null,
    requestHash: String(row[6]),
    eventSeq: Number(row[7]),
    acceptedBy: typeof row[8] === 'string' ? row[8] : null,
    acceptedAt: dateOrNull(row[9]) as Date,
    resume: handoffOf(row, 10),
  };
}

/** Reads a row that was selected by `SUSPENSION_COLUMNS`, which begin at index `first`. */
export function suspensionOf(row: RawRow, first = 0): TaskSuspensionRecord {
  const at = (index: number): unknown => row[first + index];
  return {
    taskId: String(at(0)),
    suspendId: String(at(1)),
    eventSeq: Number(at(2)),
    kind: at(3) as SuspensionKind,
    reasonCode: String(at(4)),
    allowedActions: jsonOrNull(at(5)) as string[],
    schemaVersion: Number(at(6)),
    expiresAt: dateOrNull(at(7)),
    onExpiry: jsonOrNull(at(8)) as OnExpiry,
    uiHints: jsonOrNull(at(9)) as JsonObject | null,
    interaction: jsonOrNull(at(10)) as JsonObject | null,
    actionSchemas: jsonOrNull(at(11)) as Record<string, JsonObject> | null,
    state: jsonOrNull(at(12)),
    status: Number(at(13)) as SuspensionStatus,
    createdAt: dateOrNull(at(14)) as Date,
    resolvedAt: dateOrNull(at(15)),
    resolvedBy: typeof at(16) === 'string' ? String(at(16)) : null,
  };
}

function jsonOrNull(text: unknown): unknown {
  return typeof text === 'string' ? JSON.parse(text) : null;
}
