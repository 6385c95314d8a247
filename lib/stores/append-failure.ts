import { sqlState } from './outage.js';

/** How the lane goes on after a statement failed as a whole. */
export type FailureKind =
  /** Somebody holds a row: go on without its task. */
  | 'locked'
  /** One of the appends may be to blame: find it. */
  | 'input'
  /** The connection or the server is gone, or the statement lost a conflict: send it again. */
  | 'transient'
  /** Sending it again would fail again. */
  | 'final';

const LOCK_NOT_AVAILABLE = '55P03';

/** Data exception, integrity constraint violation, program limit exceeded, raised by a trigger of the host's. */
const INPUT_CLASSES = new Set(['22', '23', '54', 'P0']);

/** Connection exception, transaction rollback (serialization, deadlock), resources, operator intervention. */
const TRANSIENT_CLASSES = new Set(['08', '40', '53', '57']);
/** Read-only, a transaction that was ended from outside, an object in use, a prepared statement that is gone. */
const TRANSIENT_CODES = new Set(['25006', '25P03', '25P04', '55006', '26000']);

/** Judges by the SQLSTATE; an error without one comes from the socket or the client. */
export function failureKind(error: unknown): FailureKind {
  const state = sqlState(error);
  if (state === undefined) return 'transient';
  if (state === LOCK_NOT_AVAILABLE) return 'locked';
  if (INPUT_CLASSES.has(state.slice(0, 2))) return 'input';
  return TRANSIENT_CLASSES.has(state.slice(0, 2)) || TRANSIENT_CODES.has(state) ? 'transient' : 'final';
}
