import type { LocalTaskStore } from '@taskbridge/local-store';
import { SeededRandom } from '../../../test/faults/support/random.js';
import { AnnouncingProcess } from './support/announcing-process.js';
import { CompiledPackage } from './support/compiled-package.js';
import { CrashLedger } from './support/crash-ledger.js';
import { StoreFolder } from './support/stores.js';

const ROUNDS = Number(process.env['LOCAL_STORE_CRASH_ROUNDS'] ?? 25);
const SEED = Number(process.env['LOCAL_STORE_CRASH_SEED'] ?? 1);
const LIVES = 2;
/** Also changed between two lives. */
const CAPS = [4000, 4000, 200_000];

describe('a worker that is killed', () => {
  let compiled: CompiledPackage;

  beforeAll(() => {
    compiled = new CompiledPackage();
  });

  afterAll(() => compiled.remove());

  async function round(seed: number): Promise<string[]> {
    const random = SeededRandom.of(SEED, seed);
    const folder = new StoreFolder();
    const ledger = new CrashLedger();
    const killedAt: string[] = [];
    try {
      for (let life = 0; life < LIVES; life += 1) {
        const killAt = random.chance(0.2) ? random.int(1, 6) : random.int(1, 150);
        const args = [folder.file, String(random.int(0, 2 ** 31)), String(life), String(random.pick(CAPS))];
        const worker: AnnouncingProcess = new AnnouncingProcess(
          compiled.program('working-worker'),
          args,
          (_, count) => {
            if (count === killAt) worker.kill();
          },
        );
        expect(await worker.ended()).toBe('SIGKILL');
        ledger.takeLife(worker.lines);
        killedAt.push(ledger.lastStep());
      }
      const store: LocalTaskStore = folder.open({ spoolCapBytes: random.pick(CAPS), terminalReserveBytes: 200 });
      store.markInterruptedRunningTasks();
      ledger.check(store);
      ledger.finishAndCheck(store);
    } finally {
      folder.remove();
    }
    return killedAt;
  }

  it(
    `has each task's one final, its output in order, and nothing acknowledged, in ${ROUNDS} seeded rounds`,
    async () => {
      const killedAt = new Set<string>();
      for (let seed = 0; seed < ROUNDS; seed += 1) {
        const steps = await round(seed).catch((error: unknown) => {
          throw new Error(`Round ${seed} of seed ${SEED} failed: ${String(error)}`, { cause: error });
        });
        for (const step of steps) killedAt.add(step);
      }
      // The kills met all kinds of steps.
      expect([...killedAt]).toEqual(expect.arrayContaining(['receive', 'start', 'chunk', 'final', 'ack']));
    },
    30_000 + ROUNDS * 5000,
  );
});
