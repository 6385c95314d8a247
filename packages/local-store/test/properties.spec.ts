import fc from 'fast-check';
import type { LocalTaskStore } from '@taskbridge/local-store';
import { StoreModel } from './support/store-model.js';
import { StoreFolder } from './support/stores.js';

const RUNS = Number(process.env['LOCAL_STORE_PROPERTY_RUNS'] ?? 25);

/** The first few are taken by their number, whatever their state; the others stand for one in the state that fits. */
const TASKS = 24;

/** What a worker, its receiver and its supervisor can do, in any order. */
const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('receive' as const), task: fc.nat(TASKS) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('start' as const), task: fc.nat(TASKS) }) },
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constant('chunk' as const),
      task: fc.nat(TASKS),
      stream: fc.constantFrom('stdout', 'stderr'),
      bytes: fc.nat(160),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('final' as const), task: fc.nat(TASKS), bytes: fc.nat(90) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('ack' as const), place: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('discard' as const), task: fc.nat(TASKS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('reopen' as const),
      cap: fc.constantFrom(170, 400, 900),
      reserve: fc.constantFrom(20, 60, 160),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('recover' as const) }) },
);

export type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

describe('any sequence of operations and restarts', () => {
  it(
    'keeps the cap, the finals, the order, and the difference between dropped and delivered',
    () => {
      let rotated = 0;
      fc.assert(
        fc.property(fc.array(operation, { minLength: 1, maxLength: 150, size: 'max' }), (operations) => {
          const folder = new StoreFolder();
          try {
            let settings = { cap: 400, reserve: 60 };
            const open = (): LocalTaskStore =>
              folder.open({ spoolCapBytes: settings.cap, terminalReserveBytes: settings.reserve });
            const model = new StoreModel(settings);
            let store = open();
            for (const one of operations) {
              if (one.kind === 'restart' || one.kind === 'reopen') {
                store.close();
                if (one.kind === 'reopen') settings = { cap: one.cap, reserve: one.reserve };
                store = open();
                model.reopened(settings);
              } else model.apply(store, one);
              model.check(store);
            }
            rotated += store.snapshot().spool.rotatedChunks;
          } finally {
            folder.remove();
          }
        }),
        { numRuns: RUNS },
      );
      // Not all of them are short.
      expect(rotated).toBeGreaterThan(RUNS / 2);
    },
    60_000 + RUNS * 5000,
  );
});
