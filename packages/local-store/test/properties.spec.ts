import fc from 'fast-check';
import type { LocalTaskStore } from '@taskbridge/local-store';
import { StoreModel } from './support/store-model.js';
import { StoreFolder } from './support/stores.js';

const RUNS = Number(process.env['LOCAL_STORE_PROPERTY_RUNS'] ?? 60);

/** What a worker, its receiver and its supervisor can do, in any order. */
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('receive' as const), task: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('start' as const), task: fc.nat(5) }) },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constant('chunk' as const),
      task: fc.nat(5),
      stream: fc.constantFrom('stdout', 'stderr'),
      bytes: fc.nat(120),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('final' as const), task: fc.nat(5), bytes: fc.nat(90) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('ack' as const), place: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('discard' as const), task: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('recover' as const) }) },
);

export type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

describe('any sequence of operations and restarts', () => {
  it('keeps the cap, the finals, the order, and the difference between dropped and delivered', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 120 }), (operations) => {
        const folder = new StoreFolder();
        try {
          const open = (): LocalTaskStore => folder.open({ spoolCapBytes: 400, terminalReserveBytes: 60 });
          const model = new StoreModel(400, 60);
          let store = open();
          for (const one of operations) {
            if (one.kind === 'restart') {
              store.close();
              store = open();
            } else model.apply(store, one);
            model.check(store);
          }
        } finally {
          folder.remove();
        }
      }),
      { numRuns: RUNS },
    );
  });
});
