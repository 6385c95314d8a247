import { TASK_EVENT_TYPES, type TaskEvent } from '@taskbridge/protocol';
import { verifyTaskBridge } from '../../../lib/verification/index.js';
import type { FaultCluster } from './fault-cluster.js';
import type { FaultTask } from './fault-task.js';
import { INVARIANTS } from './invariants.js';

interface StoredTask {
  task_id: string;
  client_request_id: string;
  status: number;
  cancel_requested_at: Date | null;
}

interface StoredEvent {
  task_id: string;
  seq: string;
  type: number;
  payload: Record<string, unknown>;
}

interface StoredReceipt {
  task_id: string;
  client_action_id: string;
  suspend_id: string;
  action_type: string;
  payload: Record<string, unknown> | null;
  event_seq: string;
}

/** What a round's audit found; each is one sentence, of which those about a loss begin with LOST. */
export interface AuditResult {
  findings: string[];
  events: number;
}

const STATUSES = ['ACCEPTED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'];

/** Compares everything that was acknowledged and seen with the database, and the database with itself. */
export async function audit(cluster: FaultCluster, tasks: readonly FaultTask[]): Promise<AuditResult> {
  const keys = tasks.map(({ plan }) => plan.key);
  const stored = await cluster.rows<StoredTask>('select * from taskbridge_tasks where client_request_id = any ($1)', [
    keys,
  ]);
  const ids = [...stored.map(({ task_id }) => task_id), ...tasks.flatMap(({ taskId }) => (taskId ? [taskId] : []))];
  const events = await cluster.rows<StoredEvent>(
    'select task_id, seq, type, payload from taskbridge_events where task_id = any ($1::uuid[]) order by task_id, seq',
    [ids],
  );
  const receipts = await cluster.rows<StoredReceipt>(
    'select * from taskbridge_receipts where task_id = any ($1::uuid[]) order by event_seq',
    [ids],
  );
  const findings = tasks.flatMap((task) => {
    const log = events.filter(({ task_id }) => task_id === task.taskId);
    const row = stored.find(({ task_id }) => task_id === task.taskId);
    return [
      ...task.findings,
      ...task.followers.flatMap((follower) => follower.findings),
      ...auditCreate(task, stored),
      ...(row === undefined ? [] : auditEnd(task, row, log)),
      ...auditAnswers(
        task,
        receipts.filter(({ task_id }) => task_id === task.taskId),
        log,
      ),
      ...task.followers.flatMap((follower) => auditFollower(follower.name, follower.events, log)),
    ];
  });
  return { findings: [...findings, ...(await brokenInvariants(cluster))], events: events.length };
}

async function brokenInvariants(cluster: FaultCluster): Promise<string[]> {
  const broken = await verifierFindings(cluster);
  for (const [meaning, sql] of Object.entries(INVARIANTS)) {
    const rows = await cluster.rows(sql);
    if (rows.length > 0) broken.push(`${meaning}: ${JSON.stringify(rows.slice(0, 3))} (${rows.length})`);
  }
  return broken;
}

/** At the end of a round nothing may be pending any more, however short. */
async function verifierFindings(cluster: FaultCluster): Promise<string[]> {
  const source = { connectionString: cluster.postgres.url('faults') };
  const { findings } = await verifyTaskBridge(source, { pendingOlderThanMs: 5_000, leaseGraceMs: 5_000 });
  return findings.map(({ code, taskId, detail }) => `verify: ${code} ${taskId}: ${detail}`);
}

function auditCreate({ taskId, plan }: FaultTask, stored: readonly StoredTask[]): string[] {
  const own = stored.filter(({ client_request_id }) => client_request_id === plan.key);
  if (taskId === '') return [`The create of ${plan.key} was never acknowledged`];
  if (own.length > 1) return [`DUPLICATE ${plan.key} is ${own.length} tasks`];
  return own[0]?.task_id === taskId ? [] : [`LOST task ${taskId} of ${plan.key}; the key has ${own[0]?.task_id}`];
}

/** Every task ends, and only as somebody wanted it to. */
function auditEnd(task: FaultTask, row: StoredTask, log: readonly StoredEvent[]): string[] {
  const { taskId, plan, cancelStatus } = task;
  const status = STATUSES[row.status] ?? '';
  const findings: string[] = [];
  if (cancelStatus === 'CANCELLATION_REQUESTED' && row.cancel_requested_at === null) {
    findings.push(`LOST the cancellation of task ${taskId}`);
  }
  const allowed = allowedEnds(task);
  if (!allowed.includes(status)) {
    const end = JSON.stringify(log.at(-1)?.payload);
    findings.push(`Task ${taskId} (${plan.taskType}) is ${status}, not ${allowed.join(' or ')}: ${end}`);
  }
  if (status === 'CANCELLED' && cancelStatus !== undefined && !('expiresInMs' in plan.input)) {
    const reason = log.at(-1)?.payload['reason'];
    if (reason !== `no ${plan.key}`) findings.push(`Task ${taskId} was cancelled for "${String(reason)}"`);
  }
  return findings;
}

function allowedEnds({ plan }: FaultTask): string[] {
  // Whatever the answer: the one to the first of several sendings may have been lost.
  const wasCancelled = plan.cancelAfterMs === undefined ? [] : ['CANCELLED'];
  if (plan.taskType === 'stubborn') return ['CANCELLED'];
  if (plan.taskType === 'overdue') return ['FAILED'];
  if (plan.input['onExpiry'] === 'fail') return ['FAILED', ...wasCancelled];
  if (plan.input['onExpiry'] === 'cancel') return ['CANCELLED'];
  return ['COMPLETED', ...wasCancelled];
}

/** An accepted answer has its receipt and has reached its run; one that was rejected has neither. */
function auditAnswers(
  { taskId, answers, plan }: FaultTask,
  receipts: readonly StoredReceipt[],
  log: readonly StoredEvent[],
): string[] {
  const findings: string[] = [];
  for (const { clientActionId, suspendId, status, payload } of answers) {
    const receipt = receipts.find(({ client_action_id }) => client_action_id === clientActionId);
    const isAccepted = status === 'ACCEPTED' || status === 'DEDUPLICATED';
    if (isAccepted && receipt === undefined) findings.push(`LOST answer ${clientActionId} of task ${taskId}`);
    if (!isAccepted && receipt !== undefined)
      findings.push(`${clientActionId} of ${taskId} is accepted, but ${status}`);
    if (isAccepted && JSON.stringify(receipt?.payload) !== JSON.stringify(payload)) {
      findings.push(`LOST the payload of answer ${clientActionId} of task ${taskId}`);
    }
    const winners = receipts.filter(({ suspend_id }) => suspend_id === suspendId).length;
    if (winners > 1) findings.push(`DUPLICATE ${suspendId} of task ${taskId} has ${winners} accepted answers`);
  }
  const end = log.at(-1);
  if (plan.taskType === 'questions' && end?.type === TASK_EVENT_TYPES.indexOf('TASK_COMPLETED')) {
    const given = receipts.map(({ suspend_id, action_type, payload }) => ({
      suspendId: suspend_id,
      action: action_type,
      payload,
    }));
    const got = (end.payload['result'] as { answers: unknown[] }).answers;
    if (JSON.stringify(got) !== JSON.stringify(given)) {
      findings.push(
        `LOST answers of task ${taskId}: given ${JSON.stringify(given)}, resumed with ${JSON.stringify(got)}`,
      );
    }
  }
  return findings;
}

/** What a follower has seen is the log: all of it, once, in order, word for word. */
function auditFollower(name: string, seen: readonly TaskEvent[], log: readonly StoredEvent[]): string[] {
  const shown = seen.map(({ eventId, type, payload }) => `${eventId} ${type} ${JSON.stringify(payload)}`);
  const stored = log.map(
    ({ seq, type, payload }) => `${seq}-0 ${TASK_EVENT_TYPES[type] ?? ''} ${JSON.stringify(payload)}`,
  );
  if (shown.length < stored.length) return [`LOST ${name} has ${shown.length} of ${stored.length} events`];
  const index = shown.findIndex((line, at) => line !== stored[at]);
  return index < 0 ? [] : [`${name} saw ${shown[index]}, the log has ${stored[index]}`];
}
