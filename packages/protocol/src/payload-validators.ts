import { EVENT_ID_PATTERN } from './event-id.js';
import {
  isTaskEventType,
  SUSPENSION_KINDS,
  TASK_EVENT_TYPES,
  TASK_MESSAGE_LEVELS,
  type TaskEventType,
} from './events.js';
import {
  anything,
  dateTime,
  dateTimeOrNull,
  flag,
  jsonObject,
  oneOf,
  percentage,
  text,
  textLike,
  texts,
  version,
} from './field-checks.js';
import {
  checkObject,
  closedObject,
  isJsonObject,
  openObject,
  type ObjectShape,
  type PayloadProblem,
} from './object-shape.js';

const payloadShapes: Readonly<Record<TaskEventType, ObjectShape>> = {
  TASK_STARTED: closedObject({}, { message: text }),
  TASK_PROGRESS: closedObject({ progress: percentage }, { stage: text, message: text }),
  TASK_MESSAGE: closedObject({ message: text }, { level: oneOf(TASK_MESSAGE_LEVELS) }),
  TASK_SUSPENDED: closedObject(
    { suspendId: text, kind: oneOf(SUSPENSION_KINDS), reasonCode: text, allowedActions: texts, schemaVersion: version },
    { expiresAt: dateTimeOrNull, uiHints: jsonObject, interaction: jsonObject },
  ),
  TASK_ACTION_ACCEPTED: closedObject(
    { suspendId: text, clientActionId: text, actionType: text, acceptedAt: dateTime },
    { message: text },
  ),
  TASK_COMPLETED: openObject({ result: anything }),
  TASK_FAILED: closedObject({ code: text, message: text, retryable: flag }),
  TASK_CANCELLED: closedObject({ reason: text }, { message: text }),
};

const envelopeShape = closedObject({
  type: oneOf(TASK_EVENT_TYPES),
  taskId: text,
  eventId: textLike(EVENT_ID_PATTERN, 'an event id such as 7-0'),
  createdAt: dateTime,
  payload: jsonObject,
});

/**
 * Lists what makes a payload unfit for an event of this type; empty when it may be logged. Accepts what
 * `task-event.schema.json` accepts, judged as the JSON the payload would be written as, without parsing or copying it:
 * cheap enough for every append. It looks no deeper than the wire defines, so `result` may still fail to serialise.
 */
export function checkEventPayload(type: TaskEventType, payload: unknown): PayloadProblem[] {
  return checkObject(payload, payloadShapes[type]);
}

/** Lists what makes a value unfit as an event envelope, its payload included (fields `payload.…`); empty when it is a `TaskEvent`. */
export function checkEventEnvelope(value: unknown): PayloadProblem[] {
  const problems = checkObject(value, envelopeShape);
  if (!isJsonObject(value) || !isTaskEventType(value.type) || !isJsonObject(value.payload)) {
    return problems;
  }
  const inside = checkEventPayload(value.type, value.payload);
  return problems.concat(inside.map(({ field, message }) => ({ field: `payload.${field}`, message })));
}
