import { createHash } from 'node:crypto';
import { configure } from 'safe-stable-stringify';
import type { JsonObject } from '../stores/records.js';
import type { TaskCreateCommand } from './commands.js';

/** Canonical JSON: keys sorted at every level, so that the order a client writes them in does not matter. */
const canonical = configure({ deterministic: true, bigint: false });

function sha256(value: unknown): string {
  return createHash('sha256')
    .update(canonical(value) ?? 'null')
    .digest('hex');
}

/** What makes two creates with one key the same request: type, input and files. Metadata does not count. */
export function hashOfCreate(command: TaskCreateCommand): string {
  const files = (command.attachments ?? []).map(({ name, contentType, sha256: hash }) => [name, contentType, hash]);
  return sha256({ taskType: command.taskType, input: command.input ?? {}, files });
}

/** What makes two actions with one `clientActionId` the same answer. */
export function hashOfAction(action: { suspendId: string; actionType: string; payload: JsonObject | null }): string {
  return sha256([action.suspendId, action.actionType, action.payload]);
}
