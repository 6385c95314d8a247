import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultCluster } from './fault-cluster.js';
import type { SeededRandom } from './random.js';

/** Does its harm and takes it back; resolves when the cluster could be whole again. */
type Fault = (cluster: FaultCluster, random: SeededRandom) => Promise<unknown>;

const LEASE_MS = 1_500;
const HOUR_MS = 3_600_000;

const ownConnections = ['taskbridge listen', 'taskbridge notify', 'taskbridge-append%'] as const;

/** Every kind of fault by its name in the report. */
export const FAULTS = {
  'instance killed': ({ slots }, random) => random.pick(slots).replace('SIGKILL', random.int(0, 600)),

  'instance paused past its lease': ({ slots }, random) => random.pick(slots).pause(LEASE_MS + random.int(200, 1_500)),

  'instance told to stop': ({ slots }, random) => random.pick(slots).replace('SIGTERM', random.int(0, 300)),

  'database killed': ({ postgres }, random) => postgres.killAndStart(random.int(0, 500)),

  'database session killed': ({ postgres }) => postgres.killSession(),

  'database restarted fast': ({ postgres }, random) => postgres.restart(random.int(0, 300)),

  'connections terminated': async ({ postgres }, random) => {
    const times = random.int(1, 4);
    for (let time = 0; time < times; time += 1) {
      const name = random.chance(0.75) ? random.pick(ownConnections) : '%';
      const terminate = `select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name like $1`;
      await postgres.query(terminate, [name]);
      await sleep(random.int(0, 200));
    }
  },

  'network cut': ({ slots }, random) => {
    const cutMs = random.int(0, 1_200);
    const cut = random.chance(0.3) ? slots : [random.pick(slots)];
    return Promise.all(cut.map(({ proxy }) => proxy.cut(cutMs)));
  },

  'network frozen': ({ slots }, random) =>
    random.pick(slots).proxy.freeze(random.int(300, LEASE_MS + 1_500), random.pick(['thaw', 'reset'])),

  'replies lost': ({ slots }, random) => random.pick(slots).proxy.loseReplies(random.int(10, 400)),

  'network slow': async ({ slots }, random) => {
    const { proxy } = random.pick(slots);
    proxy.delayMs = random.int(20, 120);
    await sleep(random.int(500, 2_000));
    proxy.delayMs = 0;
  },

  'commits slow': async ({ postgres }, random) => {
    const delay = async (microseconds: number): Promise<void> => {
      await postgres.query(`alter system set commit_delay = ${microseconds}`);
      await postgres.query('alter system set commit_siblings = 0');
      await postgres.query('select pg_reload_conf()');
    };
    await delay(random.int(20_000, 100_000));
    await sleep(random.int(500, 2_000));
    await delay(0);
  },

  'clock wrong': ({ slots }, random) => random.pick(slots).skewClock(random.int(-2 * HOUR_MS, 2 * HOUR_MS)),
} satisfies Record<string, Fault>;

export type FaultKind = keyof typeof FAULTS;

export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[];

export interface PlannedFault {
  kind: FaultKind;
  /** Since the start of the round. */
  atMs: number;
}

/** One to three faults; the first kinds take turns, so that a short run meets each of them. */
export function planFaults(round: number, random: SeededRandom, loadMs: number): PlannedFault[] {
  const first = FAULT_KINDS[round % FAULT_KINDS.length] ?? 'instance killed';
  const more = Array.from({ length: random.int(0, 2) }, () => random.pick(FAULT_KINDS));
  return [first, ...more].map((kind) => ({ kind, atMs: random.int(100, loadMs) }));
}
