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

export const FIRST_TRY: LadderState = { rung: 0, fruitlessHere: 0, fruitless: 0, failures: 0, climbs: 0 };

/** Opened connections in a row that bring nothing before their transport counts as one that does not work. */
const FRUITLESS_LIMIT = 2;

/** Decides on the transport after a connection has ended; `rungs` is how many there are. */
export function afterEnd(state: LadderState, end: ConnectionEnd, rungs: number, policy: RecoveryPolicy): NextTry {
  const isFruitful = end.hasDelivered || end.hasLasted || end.reason === 'interrupted';
  return policy === 'FAST_CYCLE' ? cycle(state, isFruitful, rungs) : descend(state, end, isFruitful, rungs);
}

/** The state on a better transport that has just opened. */
export function afterClimb(state: LadderState, rung: number): LadderState {
  return { ...state, rung, fruitlessHere: 0, climbs: state.climbs + 1 };
}

/** The state after a connection on this rung has brought something new. */
export function afterDelivery(state: LadderState): LadderState {
  const climbs = state.rung === 0 ? 0 : state.climbs;
  return { ...state, fruitlessHere: 0, fruitless: 0, failures: 0, climbs };
}

function cycle(state: LadderState, isFruitful: boolean, rungs: number): NextTry {
  if (isFruitful) return { state: { ...FIRST_TRY, climbs: state.climbs }, pauses: false };
  const fruitless = state.fruitless + 1;
  const pauses = fruitless % rungs === 0;
  const failures = state.failures + (pauses ? 1 : 0);
  return { state: { ...state, rung: (state.rung + 1) % rungs, fruitless, failures }, pauses };
}

function descend(state: LadderState, end: ConnectionEnd, isFruitful: boolean, rungs: number): NextTry {
  if (isFruitful) return { state: { ...state, fruitlessHere: 0, fruitless: 0, failures: 0 }, pauses: true };
  const fruitless = state.fruitless + 1;
  const fruitlessHere = state.fruitlessHere + 1;
  if (end.hasOpened && end.reason !== 'silent' && fruitlessHere < FRUITLESS_LIMIT) {
    return { state: { ...state, fruitless, fruitlessHere, failures: state.failures + 1 }, pauses: true };
  }
  const isLast = state.rung + 1 >= rungs;
  const failures = state.failures + (isLast ? 1 : 0);
  return {
    state: { ...state, rung: isLast ? 0 : state.rung + 1, fruitlessHere: 0, fruitless, failures },
    pauses: isLast,
  };
}
