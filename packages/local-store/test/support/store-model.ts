import { LocalStoreError, type LocalTaskStore, type OutboxMessage, type TaskStatus } from '@taskbridge/local-store';
import type { Operation } from '../properties.spec.js';
import { task } from './stores.js';

type Step = Exclude<Operation, { kind: 'restart' | 'reopen' }>;

interface ModelSettings {
  cap: number;
  reserve: number;
}

interface ModelChunk {
  id: string;
  taskId: string;
  stream: string;
  sequence: number;
  bytes: number;
}

interface ModelTask {
  status: TaskStatus;
  /** That of the time of its receipt. */
  reserve: number;
  sequences: Map<string, number>;
  truncated: boolean;
}

const FORWARD: Record<TaskStatus, TaskStatus[]> = {
  received: ['received', 'running', 'final'],
  running: ['running', 'final', 'interrupted'],
  final: ['final'],
  interrupted: ['interrupted'],
};

const FITTING: Record<Exclude<Step, { kind: 'recover' | 'ack' }>['kind'], TaskStatus[]> = {
  receive: [],
  start: ['received'],
  chunk: ['running'],
  final: ['received', 'running'],
  discard: ['received'],
};
const STRAY_TASKS = 3;

/** What the store must hold, kept in plain arrays; `check` compares. */
export class StoreModel {
  private readonly tasks = new Map<string, ModelTask>();
  /** Pending, in order. */
  private chunks: ModelChunk[] = [];
  private finals: { id: string; taskId: string; bytes: number }[] = [];
  private readonly dropped = new Set<string>();
  private readonly acknowledged = new Set<string>();
  private rotatedChunks = 0;

  private wasLowered = false;
  /** Of the last message that was stored. */
  private newestId = '';

  constructor(private settings: ModelSettings) {}

  reopened(settings: ModelSettings): void {
    this.wasLowered ||= settings.cap < this.settings.cap;
    this.settings = settings;
    this.rotate();
  }

  apply(store: LocalTaskStore, step: Step): void {
    if (step.kind === 'recover') {
      this.recover(store);
      return;
    }
    if (step.kind === 'ack') {
      this.ack(store, step.place);
      return;
    }
    const taskId = this.taskFor(step);
    switch (step.kind) {
      case 'receive':
        return this.receive(store, taskId);
      case 'start':
        return this.move(taskId, 'running', ['received'], () => store.recordStarted(taskId, 'attempt-1'));
      case 'chunk':
        return this.append(store, taskId, step.stream, step.bytes);
      case 'final':
        return this.end(store, taskId, step.bytes);
      case 'discard':
        return this.discard(store, taskId);
    }
  }

  /** A task in a state that fits the step, except for a few steps. */
  private taskFor({ kind, task: number }: Exclude<Step, { kind: 'recover' | 'ack' }>): string {
    const fitting = [...this.tasks]
      .filter(([, { status }]) => FITTING[kind].includes(status))
      .map(([taskId]) => taskId);
    return (number < STRAY_TASKS ? undefined : fitting[number % fitting.length]) ?? `task-${number}`;
  }

  check(store: LocalTaskStore): void {
    const messages = [...store.unackedMessages()];
    const { spool } = store.snapshot();
    const stored = messages.reduce((sum, { payload }) => sum + payload.byteLength, 0);
    expect(spool.usedBytes).toBe(stored);
    expect(spool.usedBytes).toBeLessThanOrEqual(spool.capBytes);
    expect(spool.reservedBytes).toBe(this.reservedBytes());
    expect(spool.capBytes).toBe(Math.max(this.settings.cap, this.finalBytes() + this.reservedBytes()));
    if (!this.wasLowered) expect(spool.capBytes).toBe(this.settings.cap);
    expect(spool.pendingMessages).toBe(messages.length);
    expect(spool.rotatedChunks).toBe(this.rotatedChunks);
    expect(spool.openTasks).toBe([...this.tasks.values()].filter(isOpen).length);
    expect(ids(messages, 'output')).toEqual(this.chunks.map(({ id }) => id));
    expect(ids(messages, 'final')).toEqual(this.finals.map(({ id }) => id));
    for (const { messageId } of messages) expect(this.acknowledged.has(messageId)).toBe(false);
    for (const id of this.dropped) expect(this.acknowledged.has(id)).toBe(false);
    this.checkMarkers(messages);
    for (const [taskId, { status, truncated }] of this.tasks) {
      expect(store.taskState(taskId, 'attempt-1')).toMatchObject({ status, outputTruncated: truncated });
    }
  }

  /** Markers tell of dropped chunks only, and of no pending one. */
  private checkMarkers(messages: readonly OutboxMessage[]): void {
    for (const marker of messages) {
      if (marker.type !== 'truncation') continue;
      const told = Array.from({ length: marker.lastSequence - marker.sequence + 1 }, (_, index) => {
        return `${marker.taskId}/attempt-1/${marker.stream}/${marker.sequence + index}`;
      });
      expect(told.filter((id) => this.dropped.has(id))).toHaveLength(marker.droppedChunks);
      expect(told.filter((id) => this.dropped.has(id) || this.acknowledged.has(id))).toEqual(told);
    }
  }

  private receive(store: LocalTaskStore, taskId: string): void {
    const known = this.tasks.get(taskId);
    const { cap, reserve } = this.settings;
    const fits = this.finalBytes() + this.reservedBytes() + reserve <= cap;
    if (known !== undefined || fits) {
      const { status, duplicate } = store.recordReceived(task(taskId));
      expect([status, duplicate]).toEqual([known?.status ?? 'received', known !== undefined]);
      if (known === undefined) {
        this.tasks.set(taskId, { status: 'received', reserve, sequences: new Map(), truncated: false });
      }
    } else expect(refusal(() => store.recordReceived(task(taskId)))).toBe('TERMINAL_RESERVE_UNAVAILABLE');
  }

  private append(store: LocalTaskStore, taskId: string, stream: string, bytes: number): void {
    const one = this.tasks.get(taskId);
    const chunk = { ...task(taskId), stream, payload: Buffer.alloc(bytes, 120) };
    if (one?.status !== 'running') {
      expect(refusal(() => store.appendOutputChunk(chunk))).toBe(one ? 'TASK_STATE_CONFLICT' : 'TASK_UNKNOWN');
      return;
    }
    const sequence = (one.sequences.get(stream) ?? 0) + 1;
    const id = `${taskId}/attempt-1/${stream}/${sequence}`;
    expect(store.appendOutputChunk(chunk)).toEqual({ messageId: id, sequence, duplicate: false });
    one.sequences.set(stream, sequence);
    this.chunks.push({ id, taskId, stream, sequence, bytes });
    this.newestId = id;
    this.rotate();
  }

  /** A final of a received task is never refused. */
  private end(store: LocalTaskStore, taskId: string, bytes: number): void {
    const result = { ...task(taskId), status: 'completed', payload: Buffer.alloc(bytes, 121) };
    this.move(taskId, 'final', ['received', 'running'], () => {
      const one = this.tasks.get(taskId);
      const reserve = one?.reserve ?? 0;
      expect(store.recordFinal(result).payloadTruncated).toBe(bytes > reserve);
      if (one !== undefined && bytes > reserve) one.truncated = true;
      this.storeFinal(taskId, Math.min(bytes, reserve));
      this.rotate();
    });
  }

  private storeFinal(taskId: string, bytes: number): void {
    this.newestId = `${taskId}/attempt-1/final`;
    this.finals.push({ id: this.newestId, taskId, bytes });
  }

  private discard(store: LocalTaskStore, taskId: string): void {
    const one = this.tasks.get(taskId);
    if (one !== undefined && one.status !== 'received') {
      expect(refusal(() => store.discardReceived(taskId, 'attempt-1'))).toBe('TASK_STATE_CONFLICT');
      return;
    }
    expect(store.discardReceived(taskId, 'attempt-1')).toBe(one !== undefined);
    this.tasks.delete(taskId);
  }

  private recover(store: LocalTaskStore): void {
    const running = [...this.tasks].filter(([, { status }]) => status === 'running').map(([taskId]) => taskId);
    const interrupted = store.markInterruptedRunningTasks().map(({ taskId }) => taskId);
    expect(new Set(interrupted)).toEqual(new Set(running));
    for (const taskId of interrupted) {
      this.advance(taskId, 'interrupted');
      this.storeFinal(taskId, 0);
    }
  }

  private ack(store: LocalTaskStore, place: number): void {
    const messages = [...store.unackedMessages()];
    const message = messages[place % Math.max(1, messages.length)];
    if (message === undefined) return;
    expect(store.ackMessage(message.messageId)).toBe(true);
    expect(store.ackMessage(message.messageId)).toBe(false);
    this.acknowledged.add(message.messageId);
    this.chunks = this.chunks.filter(({ id }) => id !== message.messageId);
    this.finals = this.finals.filter(({ id }) => id !== message.messageId);
  }

  private move(taskId: string, to: TaskStatus, from: TaskStatus[], call: () => unknown): void {
    const one = this.tasks.get(taskId);
    if (one === undefined || !from.includes(one.status)) {
      const expected = to === 'final' && one?.status === 'final' ? undefined : 'TASK_STATE_CONFLICT';
      if (expected !== undefined) expect(refusal(call)).toBe(one ? expected : 'TASK_UNKNOWN');
      return;
    }
    call();
    this.advance(taskId, to);
  }

  private advance(taskId: string, to: TaskStatus): void {
    const one = this.tasks.get(taskId);
    if (one === undefined) throw new Error(`${taskId} is unknown`);
    expect(FORWARD[one.status]).toContain(to);
    one.status = to;
  }

  /** Oldest first, until the cap holds; then what fits into a 64th of the cap, but not the newest message. */
  private rotate(): void {
    const { cap } = this.settings;
    const bytes = () => this.finalBytes() + this.chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
    if (bytes() <= cap) return;
    while (this.chunks.length > 0 && bytes() > cap) this.dropOldest();
    let extraBytes = Math.floor(cap / 64);
    for (let extraChunks = 16; extraChunks > 0; extraChunks -= 1) {
      const [oldest] = this.chunks;
      if (oldest === undefined || extraBytes === 0 || oldest.bytes > extraBytes || oldest.id === this.newestId) return;
      extraBytes -= oldest.bytes;
      this.dropOldest();
    }
  }

  private dropOldest(): void {
    const oldest = this.chunks.shift();
    if (oldest === undefined) return;
    this.dropped.add(oldest.id);
    this.rotatedChunks += 1;
    const owner = this.tasks.get(oldest.taskId);
    if (owner !== undefined) owner.truncated = true;
  }

  private reservedBytes(): number {
    return [...this.tasks.values()].filter(isOpen).reduce((sum, { reserve }) => sum + reserve, 0);
  }

  private finalBytes(): number {
    return this.finals.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

function isOpen({ status }: ModelTask): boolean {
  return status === 'received' || status === 'running';
}

function ids(messages: readonly OutboxMessage[], type: OutboxMessage['type']): string[] {
  return messages.filter((message) => message.type === type).map(({ messageId }) => messageId);
}

function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof LocalStoreError) return error.code;
    throw error;
  }
  return 'nothing';
}
