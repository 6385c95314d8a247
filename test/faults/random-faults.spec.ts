import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FaultCluster } from './support/fault-cluster.js';
import { lineOf, tableOf } from './support/fault-report.js';
import { type RoundResult, runRound } from './support/fault-round.js';

// FAULT_ROUNDS: how many rounds; without it as many as the time for CI allows. FAULT_SEED: which ones.
// FAULT_FIRST_ROUND: where to begin, to repeat one round of a longer run.

const seed = Number(process.env['FAULT_SEED'] ?? 20_260);
const firstRound = Number(process.env['FAULT_FIRST_ROUND'] ?? 0);
const wanted = process.env['FAULT_ROUNDS'];
const rounds = Number(wanted ?? 11);
const budgetMs = wanted === undefined ? 120_000 : Number.POSITIVE_INFINITY;
const ROUND_LIMIT_MS = 120_000;

describe('two instances under load, and their database, while everything around them fails', () => {
  let cluster: FaultCluster;

  beforeAll(async () => {
    cluster = await FaultCluster.open();
  }, 120_000);
  afterAll(() => cluster.close(), 60_000);

  it(
    'lose nothing that was acknowledged, repeat nothing, end every task and show every follower the whole log once',
    async () => {
      const results: RoundResult[] = [];
      const startedAt = performance.now();
      for (let round = firstRound; round < firstRound + rounds; round += 1) {
        if (performance.now() - startedAt > budgetMs) break;
        const result = await runRound(cluster, seed, round);
        results.push(result);
        process.stdout.write(`${lineOf(result)}\n`);
      }
      process.stdout.write(`\n${tableOf(results, seed, performance.now() - startedAt)}\n`);
      expect(results.length).toBeGreaterThan(0);
      expect(results.flatMap(({ round, findings }) => findings.map((finding) => `round ${round}: ${finding}`))).toEqual(
        [],
      );
    },
    rounds * ROUND_LIMIT_MS,
  );
});
