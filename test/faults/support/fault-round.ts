import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from './audit.js';
import { FaultClient } from './fault-client.js';
import type { FaultCluster } from './fault-cluster.js';
import { FaultTask } from './fault-task.js';
import { FAULTS, type PlannedFault, planFaults } from './faults.js';
import { planLoad } from './plan-load.js';
import { SeededRandom } from './random.js';

const LOAD_MS = 2_500;
/** From the end of the last fault to the end of the last task. */
const RECOVERY_LIMIT_MS = 60_000;

export interface RoundResult {
  round: number;
  faults: PlannedFault[];
  creates: number;
  actions: number;
  cancels: number;
  /** Requests that had to be sent again. */
  retries: number;
  events: number;
  /** Events that followers have taken, each follower's once. */
  deliveries: number;
  reconnects: number;
  /** From the end of the last fault to the last event. */
  recoveryMs: number;
  findings: string[];
}

/** Load and faults at the same time, then peace, then the audit. */
export async function runRound(cluster: FaultCluster, seed: number, round: number): Promise<RoundResult> {
  const random = SeededRandom.of(seed, round);
  const faults = planFaults(round, random, LOAD_MS);
  const urls = (): string[] => cluster.slots.map(({ url }) => url);
  const tasks = planLoad(`${seed}-${round}`, random, LOAD_MS).map((plan, index) => {
    const own = SeededRandom.of(seed, round, index);
    return new FaultTask(plan, new FaultClient('ada', urls, own), () => own.pick(urls()), own);
  });
  const lives = Promise.all(tasks.map((task) => task.live()));
  const problems = await disturb(cluster, faults, SeededRandom.of(seed, round, 1_000));
  await cluster.healed();
  const healedAt = performance.now();
  const ended = await Promise.race([lives.then(() => true), sleep(RECOVERY_LIMIT_MS, false, { ref: false })]);
  const recoveryMs = Math.round(performance.now() - healedAt);
  for (const task of tasks) task.stop();
  const result = await audit(cluster, tasks);
  const deaths = cluster.slots.flatMap((slot) => slot.takeDeaths());
  const late = ended ? [] : [`The round had not ended ${RECOVERY_LIMIT_MS} ms after its faults`];
  return {
    round,
    faults,
    ...countsOf(tasks),
    events: result.events,
    recoveryMs,
    findings: [...problems, ...deaths, ...late, ...result.findings],
  };
}

async function disturb(
  cluster: FaultCluster,
  faults: readonly PlannedFault[],
  random: SeededRandom,
): Promise<string[]> {
  const problems: string[] = [];
  await Promise.all(
    faults.map(async ({ kind, atMs }) => {
      await sleep(atMs);
      await FAULTS[kind](cluster, random).catch((error: unknown) => problems.push(`${kind}: ${String(error)}`));
    }),
  );
  return problems;
}

function countsOf(
  tasks: readonly FaultTask[],
): Pick<RoundResult, 'creates' | 'actions' | 'cancels' | 'retries' | 'deliveries' | 'reconnects'> {
  const followers = tasks.flatMap((task) => task.followers);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  return {
    creates: tasks.filter(({ taskId }) => taskId !== '').length,
    actions: sum(tasks.map(({ answers }) => answers.length)),
    cancels: tasks.filter(({ cancelStatus }) => cancelStatus !== undefined).length,
    retries: sum(tasks.map(({ retries }) => retries)),
    deliveries: sum(followers.map(({ events }) => events.length)),
    reconnects: sum(followers.filter(({ name }) => !name.startsWith('poll')).map(({ connections }) => connections - 1)),
  };
}
