import { answerCalls } from '../../test/faults/support/child-calls.js';
import type { BenchDatabase } from './bench-database.js';
import { openBenchDatabase } from './bench-database.js';
import { profiled } from './profile.js';
import { type Figures, type Pair, Report, tableLine } from './report.js';

/** How large a run is: `full` for figures, `smoke` to see that it runs. */
export type Size = 'full' | 'smoke';

export interface BenchRequest {
  /** Of the server; each benchmark makes databases of its own there. */
  postgresUrl: string;
  size: Size;
  /** Writes a CPU profile of each side of each pair, under this name. */
  profile?: string | undefined;
}

/** What a benchmark works with. */
export interface BenchContext {
  readonly report: Report;
  readonly size: Size;
  /** The first argument for figures, the second for a smoke run. */
  readonly scale: <T>(full: T, smoke: T) => T;
  /** A fresh database with the library's tables; dropped when the benchmark has ended. */
  readonly database: () => Promise<BenchDatabase>;
  /** Measures both sides in turns. */
  readonly pairs: (limit: () => Promise<Figures>, ours: () => Promise<Figures>, count?: number) => Promise<Pair[]>;
  /** Runs at the end, in reverse order. */
  readonly defer: (cleanUp: () => unknown) => void;
}

const PAIRS = 3;

/** Makes this process one benchmark of `bench/run.ts`, which asks for its run and gets its rows. */
export function defineBench(body: (context: BenchContext) => Promise<void>): void {
  answerCalls({ run: (request: BenchRequest) => run(body, request) });
  process.send?.({ call: 0, value: null });
}

async function run(
  body: (context: BenchContext) => Promise<void>,
  { postgresUrl, size, profile }: BenchRequest,
): Promise<void> {
  const report = new Report((row) => {
    console.log(tableLine(row));
    process.send?.({ row });
  });
  const cleanUps: (() => unknown)[] = [];
  let profiles = 0;
  const watched = (side: string, measure: () => Promise<Figures>): Promise<Figures> => {
    if (profile === undefined) return measure();
    profiles += 1;
    return profiled(`${profile}-${profiles}-${side}`, measure);
  };
  const scale = <T>(full: T, smoke: T): T => (size === 'full' ? full : smoke);
  const context: BenchContext = {
    report,
    size,
    scale,
    defer: (cleanUp) => void cleanUps.push(cleanUp),
    database: async () => {
      const database = await openBenchDatabase(postgresUrl);
      cleanUps.push(() => database.drop());
      return database;
    },
    pairs: async (limit, ours, count = PAIRS) => {
      const pairs: Pair[] = [];
      for (let pair = 0; pair < scale(count, 1); pair += 1) {
        pairs.push({ limit: await watched('limit', limit), ours: await watched('ours', ours) });
      }
      return pairs;
    },
  };
  const cleanUp = async (): Promise<void> => {
    for (const one of cleanUps.splice(0).toReversed()) await one();
  };
  // The time of the whole run is over.
  process.once('SIGTERM', () => void cleanUp().finally(() => process.exit(1)));
  try {
    await body(context);
  } finally {
    await cleanUp();
  }
}
