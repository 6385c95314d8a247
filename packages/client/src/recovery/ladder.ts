import type { ConnectionEnd } from './connection.js';

/**
 * `PROGRESSIVE_STICKY`: stay with a transport that works, go one down when it does not.
 * `FAST_CYCLE`: after every end the next one, round and round; pause only after a round that brought nothing.
 */
export type RecoveryPolicy = 'PROGRESSIVE_STICKY' | 'FAST_CYCLE';

/** Where the recovery stands; rung 0 is the best transport. */
export interface LadderState {
  readonly rung: number;
  /** Ends in a row of connections that brought nothing new and did not last, on this rung and in all. */
  readonly fruitlessHere: number;
  readonly fruitless: number;
  /** Failures that call for a pause; 0 after anything new, and after a connection that lasted. */
  readonly failures: number;
  /** Attempts to get back up that did not last. */
  readonly climbs: number;
}

/** What follows an end: the state of the next connection, and whether to pause before it. */
export interface NextTry {
  state: LadderState;
  pauses: boolean;
}

const NOTHING_LOST = { fruitlessHere: 0, fruitless: 0, failures: 0 };

export const FIRST_TRY: LadderState = { rung: 0, climbs: 0, ...NOTHING_LOST };

/** Opened connections in a row that bring nothing before their transport counts as one that does not work. */
const FRUITLESS_LIMIT = 2;

/** Decides on the transport after a connection has ended; `rungs` is how many there are. */
export function afterEnd(state: LadderState, end: ConnectionEnd, rungs: number, policy: RecoveryPolicy): NextTry {
  const cycles = policy === 'FAST_CYCLE';
  if (end.hasDelivered || end.hasLasted || end.reason === 'interrupted') {
    return { state: { ...state, ...NOTHING_LOST, rung: cycles ? 0 : state.rung }, pauses: !cycles };
  }
  const fruitless = state.fruitless + 1;
  const fruitlessHere = state.fruitlessHere + 1;
  const stays = !cycles && end.hasOpened && end.reason !== 'silent' && fruitlessHere < FRUITLESS_LIMIT;
  const rung = stays ? state.rung : (state.rung + 1) % rungs;
  const pauses = stays || (cycles ? fruitless % rungs : rung) === 0;
  const failures = state.failures + Number(pauses);
  return { state: { ...state, rung, fruitless, failures, fruitlessHere: stays ? fruitlessHere : 0 }, pauses };
}

/** The state on a better transport that has just opened. */
export function afterClimb(state: LadderState, rung: number): LadderState {
  return { ...state, rung, fruitlessHere: 0, climbs: state.climbs + 1 };
}

/** The state after a connection on this rung has brought something new. */
export function afterDelivery(state: LadderState): LadderState {
  return { ...state, ...NOTHING_LOST, climbs: state.rung === 0 ? 0 : state.climbs };
}
