import { SUSPENSION_KINDS } from '@taskbridge/protocol';
import { types } from 'node:util';
import { v7 as uuidv7 } from 'uuid';
import { type FieldProblem, isTaskBridgeError, TaskBridgeError, validationError } from '../taskbridge.errors.js';
import { type AnswerSchemas, schemaOf } from './answer-schemas.js';
import { storableJson } from './append-command.js';
import type { AppendCommand } from './event.store.js';
import type { JsonObject, OnExpiry, SuspensionRequest, TaskSuspensionRecord } from './records.js';
import { suspendedPayload } from './suspended-payload.js';
import type { OpenSuspensionsCommand } from './suspension.store.js';

/** A question whose defaults are filled in; its time of expiry may still be relative. */
export interface CheckedRequest extends Pick<
  TaskSuspensionRecord,
  | 'suspendId'
  | 'kind'
  | 'reasonCode'
  | 'allowedActions'
  | 'schemaVersion'
  | 'onExpiry'
  | 'uiHints'
  | 'interaction'
  | 'actionSchemas'
> {
  readonly expiresAt: Date | null;
  readonly expiresInMs: number | null;
  /** As JSON text; `null` for none. */
  readonly stateJson: string | null;
}

/** Longest type of an action, in characters: of one that may be asked for and of one that may be answered with. */
export const MAX_ACTION_TYPE_LENGTH = 128;

const ACTIONS_RULE = `must be a list of one or more different action types of 1 to ${MAX_ACTION_TYPE_LENGTH} characters`;
const MAX_ID_LENGTH = 255;
/** Of what is stored with a question and in no event, as JSON: the `state`, and the payload of its expiry. */
const MAX_KEPT_BYTES = 1_048_576;
/** A hundred years: beyond it a relative expiry is a mistake of unit. */
const MAX_EXPIRES_IN_MS = 100 * 365 * 24 * 3_600_000;

/** Fills in defaults; throws one `REQUEST_VALIDATION_ERROR` that lists every problem of every request. */
export function checkSuspensionRequests(
  requests: readonly SuspensionRequest[],
  schemas: AnswerSchemas,
): CheckedRequest[] {
  const problems: FieldProblem[] = requests.length === 0 ? [{ field: 'requests', message: 'must not be empty' }] : [];
  const seen = new Set<string>();
  requests.forEach((request, index) => {
    const prefix = requests.length === 1 ? '' : `requests[${index}].`;
    for (const { field, message } of problemsOf(request, schemas)) problems.push({ field: prefix + field, message });
    if (!isObject(request) || request.suspendId === undefined) return;
    if (seen.has(request.suspendId)) problems.push({ field: `${prefix}suspendId`, message: 'is used twice' });
    seen.add(request.suspendId);
  });
  if (problems.length > 0) throw validationError(problems);
  return requests.map(withDefaults);
}

function withDefaults(request: SuspensionRequest): CheckedRequest {
  return {
    suspendId: request.suspendId ?? uuidv7(),
    kind: request.kind ?? 'USER_ACTION_REQUIRED',
    reasonCode: request.reasonCode,
    allowedActions: [...request.allowedActions],
    schemaVersion: request.schemaVersion ?? 1,
    expiresAt: request.expiresAt ?? null,
    expiresInMs: request.expiresInMs ?? null,
    onExpiry: keptExpiry(request.onExpiry ?? 'fail'),
    uiHints: request.uiHints ?? null,
    interaction: request.interaction ?? null,
    actionSchemas: request.actionSchemas ?? null,
    stateJson: request.state === undefined ? null : keptJson('state', request.state),
  };
}

function keptExpiry(onExpiry: OnExpiry): OnExpiry {
  keptJson('onExpiry', onExpiry);
  return onExpiry;
}

/** Throws `PAYLOAD_TOO_LARGE`. What clients are told of a question has the limit of events. */
function keptJson(field: string, value: unknown): string {
  const text = storableJson(field, value);
  if (Buffer.byteLength(text) <= MAX_KEPT_BYTES) return text;
  throw new TaskBridgeError(
    'PAYLOAD_TOO_LARGE',
    `The ${field} of a question exceeds ${MAX_KEPT_BYTES} bytes of JSON; keep a reference instead`,
    { details: { field, maxBytes: MAX_KEPT_BYTES } },
  );
}

/** Callers without types send anything: a wrong request must read as such, never as a fault of ours. */
function problemsOf(request: SuspensionRequest, schemas: AnswerSchemas): FieldProblem[] {
  if (!isObject(request)) return [{ field: 'request', message: 'must be an object' }];
  const problems: FieldProblem[] = [];
  const check = (field: string, isRight: boolean, message: string): void => {
    if (!isRight) problems.push({ field, message });
  };
  const { suspendId, kind, reasonCode, schemaVersion, expiresAt, expiresInMs, uiHints, interaction } = request;
  check('suspendId', suspendId === undefined || isText(suspendId), `must be text of 1 to ${MAX_ID_LENGTH} characters`);
  check('kind', kind === undefined || SUSPENSION_KINDS.includes(kind), `must be one of ${SUSPENSION_KINDS.join(', ')}`);
  check('reasonCode', isText(reasonCode), `must be text of 1 to ${MAX_ID_LENGTH} characters`);
  check('allowedActions', areActions(request.allowedActions), ACTIONS_RULE);
  check('schemaVersion', schemaVersion === undefined || isVersion(schemaVersion), 'must be an integer from 1');
  check('expiresAt', expiresAt === undefined || isDate(expiresAt), 'must be a valid Date');
  check('expiresInMs', expiresInMs === undefined || isDuration(expiresInMs), 'must be a positive number of ms');
  check('expiresInMs', expiresAt === undefined || expiresInMs === undefined, 'must not be given beside expiresAt');
  check('uiHints', uiHints === undefined || isObject(uiHints), 'must be an object');
  check('interaction', interaction === undefined || isObject(interaction), 'must be an object');
  if (problems.length > 0) return problems;
  return [...schemaProblems(request, schemas), ...expiryProblems(request, schemas)];
}

function schemaProblems({ actionSchemas, allowedActions }: SuspensionRequest, schemas: AnswerSchemas): FieldProblem[] {
  return Object.entries(actionSchemas ?? {}).flatMap(([action, schema]) => {
    const field = `actionSchemas.${action}`;
    if (!allowedActions.includes(action)) return [{ field, message: 'is for an action that is not allowed' }];
    return problemsThrown(() => schemas.assertSchema(field, schema));
  });
}

function expiryProblems(request: SuspensionRequest, schemas: AnswerSchemas): FieldProblem[] {
  const { onExpiry, allowedActions, actionSchemas } = request;
  if (onExpiry === undefined || onExpiry === 'fail' || onExpiry === 'cancel') return [];
  if (!isObject(onExpiry)) return [{ field: 'onExpiry', message: 'must be "fail", "cancel" or { resume: action }' }];
  const { resume: action, payload } = onExpiry satisfies OnExpiry;
  if (!allowedActions.includes(action)) {
    return [{ field: 'onExpiry.resume', message: 'must be one of allowedActions' }];
  }
  if (payload !== undefined && !isObject(payload)) return [{ field: 'onExpiry.payload', message: 'must be an object' }];
  const schema = schemaOf(actionSchemas, action);
  if (schema === undefined || problemsThrown(() => schemas.assertSchema('', schema)).length > 0) return [];
  return problemsThrown(() =>
    schemas.assertAnswer({ actionSchemas: { [action]: schema } }, action, payload ?? null),
  ).map(({ field, message }) => ({ field: `onExpiry.${field}`, message }));
}

/** By its brand, because a `Date` of another realm is not an instance of ours. */
function isDate(value: unknown): boolean {
  return types.isDate(value) && !Number.isNaN(value.getTime());
}

function problemsThrown(work: () => void): FieldProblem[] {
  try {
    work();
    return [];
  } catch (error) {
    if (!isTaskBridgeError(error) || error.code !== 'REQUEST_VALIDATION_ERROR') throw error;
    return (error.details?.['fields'] ?? []) as FieldProblem[];
  }
}

function isText(value: unknown, longest = MAX_ID_LENGTH): boolean {
  if (typeof value !== 'string' || value.length === 0 || value.length > longest) return false;
  return !value.includes('\0') && value.isWellFormed();
}

function areActions(actions: unknown): boolean {
  if (!Array.isArray(actions) || actions.length === 0 || new Set(actions).size < actions.length) return false;
  return actions.every((action) => isText(action, MAX_ACTION_TYPE_LENGTH));
}

function isVersion(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 2_147_483_647;
}

function isDuration(value: number): boolean {
  return Number.isFinite(value) && value > 0 && value <= MAX_EXPIRES_IN_MS;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** When the question expires, given the database's clock. */
export function expiryOf({ expiresAt, expiresInMs }: CheckedRequest, nowMs: number): Date | null {
  return expiresInMs === null ? expiresAt : new Date(nowMs + Math.ceil(expiresInMs));
}

/** The append of a question; the numbers of several follow each other. */
export function suspendedEvent(
  { taskId, attempt, appendNo, appendId }: OpenSuspensionsCommand,
  question: CheckedRequest,
  index: number,
): AppendCommand<'TASK_SUSPENDED'> {
  return {
    taskId,
    type: 'TASK_SUSPENDED',
    attempt,
    payload: suspendedPayload(question),
    ...(appendNo === undefined ? {} : { appendNo: appendNo + index }),
    ...(appendId === undefined ? {} : { appendId }),
  };
}

/** The question as an element of the insert's JSON parameter. */
export function questionJson(question: CheckedRequest, eventSeq: number, nowMs: number): string {
  const text = storableJson('suspension', {
    suspend_id: question.suspendId,
    event_seq: eventSeq,
    kind: question.kind,
    reason_code: question.reasonCode,
    allowed_actions: question.allowedActions,
    schema_version: question.schemaVersion,
    expires_ms: question.expiresAt?.getTime() ?? null,
    on_expiry: question.onExpiry,
    ui_hints: question.uiHints,
    interaction: question.interaction,
    action_schemas: question.actionSchemas,
    created_ms: nowMs,
  });
  return `${text.slice(0, -1)},"state":${question.stateJson ?? 'null'}}`;
}
