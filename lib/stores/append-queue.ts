import { TaskBridgeError } from '../taskbridge.errors.js';
import type { AppendResult } from './event.store.js';
import type { PreparedAppend } from './append-command.js';

/** An append on its way through the lane, with its caller's promise. */
export interface QueuedAppend extends PreparedAppend {
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: unknown) => void;
}

export interface FlushLimits {
  maxEvents: number;
  maxBytes: number;
}

/**
 * The appends that wait for the lane, first in, first out. Appends of a parked task, whose row somebody holds, wait
 * aside in their order until the task is free, and go first then; the others pass. The row may stay held for ever, and
 * not every reporter waits for its reports: of each parked task so many wait, and one more is refused.
 */
export class AppendQueue {
  private line: QueuedAppend[] = [];
  private head = 0;
  private readonly parked = new Map<string, QueuedAppend[]>();

  constructor(private readonly maxParkedPerTask: number) {}

  /** Appends in line, the parked ones not counted: they must not take the room of others. */
  get size(): number {
    return this.line.length - this.head;
  }

  get parkedSize(): number {
    let size = 0;
    for (const held of this.parked.values()) size += held.length;
    return size;
  }

  get isEmpty(): boolean {
    return this.size === 0 && this.parked.size === 0;
  }

  get hasParked(): boolean {
    return this.parked.size > 0;
  }

  get parkedTasks(): string[] {
    return [...this.parked.keys()];
  }

  push(append: QueuedAppend): void {
    this.line.push(append);
  }

  /**
   * The next flush: at least one append, unless all of the line is parked. Within one flush the numbers of an
   * attempt ascend and no id comes twice, because the statement compares with what is stored, not with its own input.
   */
  take(limits: FlushLimits): QueuedAppend[] {
    const taken: QueuedAppend[] = [];
    const numbers = new Map<string, number>();
    const ids = new Set<string>();
    let bytes = 0;
    for (; this.head < this.line.length && taken.length < limits.maxEvents; this.head += 1) {
      const append = this.line[this.head];
      if (append === undefined || this.parkIfHeld(append)) continue;
      bytes += append.record.length;
      if (taken.length > 0 && (bytes > limits.maxBytes || repeats(append, numbers, ids))) break;
      if (append.appendNo !== null) numbers.set(attemptOf(append), append.appendNo);
      else if (append.appendId !== null) ids.add(append.appendId);
      taken.push(append);
    }
    this.forgetTaken();
    return taken;
  }

  /** Sets the append aside, or refuses it; every later one of its task follows it. */
  park(append: QueuedAppend): void {
    const { taskId, type, reject } = append;
    const held = this.parked.get(taskId);
    if (held === undefined) this.parked.set(taskId, [append]);
    else if (held.length < this.maxParkedPerTask) held.push(append);
    else {
      const message = `Task ${taskId}: ${type} could not be logged, because somebody holds its row and too many wait for it`;
      reject(new TaskBridgeError('SERVICE_UNAVAILABLE', message));
    }
  }

  /** Parks the append when its task is parked already, and says so. */
  parkIfHeld(append: QueuedAppend): boolean {
    if (!this.parked.has(append.taskId)) return false;
    this.park(append);
    return true;
  }

  /** Puts the parked appends of these tasks at the head of the line. */
  unpark(taskIds: readonly string[]): void {
    const freed = taskIds.flatMap((taskId) => this.parked.get(taskId) ?? []);
    for (const taskId of taskIds) this.parked.delete(taskId);
    this.line = freed.concat(this.line.slice(this.head));
    this.head = 0;
  }

  /** Removes what is parked and returns it. */
  takeParked(): QueuedAppend[] {
    const held = [...this.parked.values()].flat();
    this.parked.clear();
    return held;
  }

  /** Empties the queue and returns what was in it. */
  takeAll(): QueuedAppend[] {
    const all = this.takeParked().concat(this.line.slice(this.head));
    this.line = [];
    this.head = 0;
    return all;
  }

  private forgetTaken(): void {
    if (this.head === this.line.length) this.line = [];
    else if (this.head > 1_024 && this.head * 2 > this.line.length) this.line = this.line.slice(this.head);
    else return;
    this.head = 0;
  }
}

/** Each attempt has numbers of its own: reports of a superseded one must not cut the flushes of its successor short. */
function attemptOf({ taskId, attempt }: QueuedAppend): string {
  return `${taskId} ${attempt}`;
}

function repeats(append: QueuedAppend, numbers: Map<string, number>, ids: Set<string>): boolean {
  if (append.appendNo === null) return append.appendId !== null && ids.has(append.appendId);
  const last = numbers.get(attemptOf(append));
  return last !== undefined && append.appendNo <= last;
}
