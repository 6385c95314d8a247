import { answerCalls } from '../../test/faults/support/child-calls.js';
import type { BenchDatabase } from './bench-database.js';
import { openBenchDatabase } from './bench-database.js';
import { type Figures, type Pair, Report, type Row } from './report.js';

/** How large a run is: `full` for figures, `smoke` to see that it runs. */
export type Size = 'full' | 'smoke';

export interface BenchRequest {
  /** Of the server; each benchmark makes databases of its own there. */
  postgresUrl: string;
  size: Size;
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
  { postgresUrl, size }: BenchRequest,
): Promise<Row[]> {
  const report = new Report((line) => console.log(line));
  const cleanUps: (() => unknown)[] = [];
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
    pairs: (limit, ours, count = PAIRS) => alternate(limit, ours, scale(count, 1)),
  };
  try {
    await body(context);
  } finally {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  }
  return report.rows;
}

async function alternate(limit: () => Promise<Figures>, ours: () => Promise<Figures>, count: number): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let pair = 0; pair < count; pair += 1) pairs.push({ limit: await limit(), ours: await ours() });
  return pairs;
}
