import type { FindingCode } from './finding-codes.js';
import type { TaskLog } from './task-log.sql.js';

type Rule = (task: TaskLog) => string | undefined;

const STATUS_NAMES = ['ACCEPTED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'];
const RUNNING = 1;
/** From the code of a terminal event to the code of its status. */
const STATUS_OF_ENDING = -3;

/** What each rule finds wrong with a task, in words; nothing where it holds. */
const RULES: Partial<Record<FindingCode, Rule>> = {
  SEQ_HOLE: ({ retainedFromSeq, log }) => {
    if (log.firstSeq === null) return undefined;
    if (log.firstSeq > retainedFromSeq) return `the log begins at ${log.firstSeq}, not at ${retainedFromSeq}`;
    return log.holes === 0 ? undefined : `${log.holes} of them, the first after ${log.holeAfter}`;
  },
  LAST_SEQ_MISMATCH: ({ lastSeq, retainedFromSeq, log }) => {
    const last = log.lastSeq ?? retainedFromSeq - 1;
    return last === lastSeq ? undefined : `last_seq is ${lastSeq}, the log ends with ${last}`;
  },
  TWO_TERMINALS: ({ log }) => (log.endings > 1 ? `${log.endings} of them, the first at ${log.endSeq}` : undefined),
  EVENT_AFTER_TERMINAL: ({ log }) =>
    log.lateSeq === null ? undefined : `event ${log.lateSeq} follows the ending at ${log.endSeq}`,
  STARTED_TWICE: ({ log }) => (log.starts > 1 ? `${log.starts} of them, the first at ${log.startSeq}` : undefined),
  EVENT_BEFORE_START: (task) => {
    const { runningSeq, startSeq } = task.log;
    if (runningSeq === null || startedBeforeFloor(task)) return undefined;
    if (startSeq !== null && startSeq < runningSeq) return undefined;
    return `event ${runningSeq} comes before ${startSeq === null ? 'any start' : `the start at ${startSeq}`}`;
  },
  STATUS_MISMATCH: (task) => {
    const expected = foldedStatus(task);
    if (expected === undefined || expected === task.status) return undefined;
    return `the status is ${nameOf(task.status)}, the log says ${nameOf(expected)}`;
  },
  STARTED_AT_MISMATCH: (task) =>
    startedBeforeFloor(task) ? undefined : difference('started_at', task.startedAt, task.log.startAt),
  FINISHED_AT_MISMATCH: (task) =>
    isUnknown(task) ? undefined : difference('finished_at', task.finishedAt, task.log.endAt),
  ATTEMPT_AHEAD: ({ attempt, log }) =>
    log.highestAttempt !== null && log.highestAttempt > attempt
      ? `the log knows attempt ${log.highestAttempt}, the task ${attempt}`
      : undefined,
  ATTEMPT_SUPERSEDED: ({ log }) =>
    log.supersededSeq === null ? undefined : `event ${log.supersededSeq} is of an earlier attempt than one before it`,
};

/** Everything that is wrong with one task's log and what its row says about it. */
export function judgeTaskLog(task: TaskLog): { code: FindingCode; detail: string }[] {
  return Object.entries(RULES).flatMap(([code, rule]) => {
    const detail = rule(task);
    return detail === undefined ? [] : [{ code: code as FindingCode, detail }];
  });
}

/** Retention has taken the events from 1 on, and TASK_STARTED with them. */
function startedBeforeFloor({ retainedFromSeq, startedAt, log }: TaskLog): boolean {
  return retainedFromSeq > 1 && log.starts === 0 && startedAt !== null;
}

/** Retention has taken everything. */
function isUnknown({ retainedFromSeq, log }: TaskLog): boolean {
  return retainedFromSeq > 1 && log.events === 0;
}

function foldedStatus(task: TaskLog): number | undefined {
  const { endType, starts } = task.log;
  if (endType !== null) return endType + STATUS_OF_ENDING;
  if (isUnknown(task)) return undefined;
  return starts > 0 || startedBeforeFloor(task) ? RUNNING : 0;
}

function difference(column: string, said: Date | null, logged: Date | null): string | undefined {
  if (said?.getTime() === logged?.getTime()) return undefined;
  return `${column} is ${timeOf(said)}, its event says ${timeOf(logged)}`;
}

function timeOf(time: Date | null): string {
  return time === null ? 'nothing' : time.toISOString();
}

function nameOf(status: number): string {
  return STATUS_NAMES[status] ?? `unknown (${status})`;
}
