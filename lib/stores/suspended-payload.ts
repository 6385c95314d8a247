import type { TaskSuspendedPayload } from '@taskbridge/protocol';
import type { TaskSuspensionRecord } from './records.js';

type Question = Pick<
  TaskSuspensionRecord,
  | 'suspendId'
  | 'kind'
  | 'reasonCode'
  | 'allowedActions'
  | 'schemaVersion'
  | 'expiresAt'
  | 'uiHints'
  | 'interaction'
  | 'actionSchemas'
>;

/** What clients are told of a question: in its event and in snapshots alike. Never its `state` and `onExpiry`. */
export function suspendedPayload(suspension: Question): TaskSuspendedPayload {
  const { suspendId, kind, reasonCode, allowedActions, schemaVersion, expiresAt, uiHints } = suspension;
  const interaction = interactionOf(suspension);
  return {
    suspendId,
    kind,
    reasonCode,
    allowedActions,
    schemaVersion,
    ...(expiresAt === null ? {} : { expiresAt: expiresAt.toISOString() }),
    ...(uiHints === null ? {} : { uiHints }),
    ...(interaction === null ? {} : { interaction }),
  };
}

/** The event's schema is closed, so the answers' schemas travel in the one member that is open. */
function interactionOf({ interaction, actionSchemas }: Question): Question['interaction'] {
  return actionSchemas === null ? interaction : { ...interaction, actionSchemas };
}
