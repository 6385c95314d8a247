import { PASS, type PassingRequest, type Treatment } from './fault-network.js';
import { frameBoundaries } from './frame-boundaries.js';
import { type Kind, KINDS, seeded } from './torture-client.js';

/** Which connections of a run are cut, and where. */
export interface CutPlan {
  kind: Kind;
  /** Bytes of the first answer, of the second one, and so on; those after them pass. */
  cuts: number[];
}

/** Around each boundary of two frames in the answer, twice in a row. */
export function boundaryCuts(kind: Kind, answer: Buffer): CutPlan[] {
  const offsets = frameBoundaries(kind, answer).flatMap((at) => [at - 2, at - 1, at, at + 1, at + 2]);
  return offsets.map((at) => ({ kind, cuts: [at, at] }));
}

/** Anywhere in the answers, one to four times a run, by each transport in turn. */
export function seededCuts(count: number, answers: Record<Kind, Buffer>, seed = 5): CutPlan[] {
  const random = seeded(seed);
  return Array.from({ length: count }, (_, index) => {
    const kind = KINDS[index % KINDS.length];
    const times = 1 + Math.floor(random() * 4);
    return { kind, cuts: Array.from({ length: times }, () => Math.floor(random() * answers[kind].length)) };
  });
}

/** Streams and polls are cut by the plan; commands pass. */
export function treatmentOf({ kind: of, cuts }: CutPlan): (request: PassingRequest) => Treatment {
  return ({ kind, index }) => (kind === of && index < cuts.length ? { type: 'cut', bytes: cuts[index] } : PASS);
}
