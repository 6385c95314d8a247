import type { FinalMessage, LocalTaskStore, OutputMessage, TruncationMessage } from '@taskbridge/local-store';

interface Step {
  kind: 'open' | 'recover' | 'receive' | 'start' | 'chunk' | 'final' | 'ack';
  at: 'before' | 'after';
  taskId?: string;
  stream?: string;
  payload?: string;
  messageId?: string;
}

interface LedgerTask {
  /** Chunks by stream, each with its bytes; the last one may not have been stored. */
  streams: Map<string, string[]>;
  /** A stream and how many of its chunks were certainly stored. */
  stored: Map<string, number>;
  isCertain: boolean;
  started: boolean;
  ended: boolean;
}

/** What a killed worker announced: what must be in the store, and what may be. */
export class CrashLedger {
  private readonly tasks = new Map<string, LedgerTask>();
  private readonly acknowledged = new Set<string>();
  private readonly maybeAcknowledged = new Set<string>();
  private last: Step | undefined;

  takeLife(lines: readonly string[]): void {
    for (const line of lines) {
      const step = JSON.parse(line) as Step;
      this.last = step;
      if (step.messageId !== undefined) {
        (step.at === 'before' ? this.maybeAcknowledged : this.acknowledged).add(step.messageId);
      } else if (step.taskId !== undefined) this.takeTask(step.taskId, step);
    }
  }

  /** Where the kill met it. */
  lastStep(): string {
    return this.last?.kind ?? 'start-up';
  }

  check(store: LocalTaskStore): void {
    const { spool } = store.snapshot();
    const messages = [...store.unackedMessages()];
    expect(spool.usedBytes).toBe(messages.reduce((sum, { payload }) => sum + payload.byteLength, 0));
    expect(spool.usedBytes).toBeLessThanOrEqual(spool.capBytes);
    expect(spool.pendingMessages).toBe(messages.length);
    for (const { messageId } of messages) expect(this.acknowledged).not.toContain(messageId);
    for (const [taskId, task] of this.tasks) {
      const own = messages.filter((message) => message.taskId === taskId);
      this.checkState(store, taskId, task, own.filter(({ type }) => type === 'final') as FinalMessage[]);
      for (const [stream, payloads] of task.streams) {
        const ofStream = own.filter((message) => message.type !== 'final' && message.stream === stream);
        this.checkStream(
          `${taskId}/attempt-1/${stream}`,
          payloads,
          task.stored.get(stream) ?? 0,
          ofStream as OutputMessage[],
        );
      }
    }
  }

  /** As a restarted worker would: starts and ends what was received, so that every task has its final. */
  finishAndCheck(store: LocalTaskStore): void {
    for (const { taskId, executionAttemptId } of store.snapshot().received) {
      store.recordStarted(taskId, executionAttemptId);
      store.recordFinal({ taskId, executionAttemptId, status: 'completed' });
    }
    const finals = [...store.unackedMessages()].filter(({ type }) => type === 'final').map(({ taskId }) => taskId);
    expect(new Set(finals).size).toBe(finals.length);
    for (const [taskId, { isCertain }] of this.tasks) {
      const state = store.taskState(taskId, 'attempt-1');
      if (state === undefined) expect(isCertain).toBe(false);
      else expect(finals.includes(taskId) || this.maybeAcknowledged.has(`${taskId}/attempt-1/final`)).toBe(true);
    }
  }

  private takeTask(taskId: string, { kind, at, stream = '', payload = '' }: Step): void {
    const known = this.tasks.get(taskId);
    const task = known ?? { streams: new Map(), stored: new Map(), isCertain: false, started: false, ended: false };
    this.tasks.set(taskId, task);
    if (kind === 'chunk' && at === 'before') task.streams.set(stream, [...(task.streams.get(stream) ?? []), payload]);
    if (at === 'before') return;
    if (kind === 'receive') task.isCertain = true;
    if (kind === 'start') task.started = true;
    if (kind === 'final') task.ended = true;
    if (kind === 'chunk') task.stored.set(stream, (task.stored.get(stream) ?? 0) + 1);
  }

  private checkState(store: LocalTaskStore, taskId: string, task: LedgerTask, finals: FinalMessage[]): void {
    const state = store.taskState(taskId, 'attempt-1');
    if (state === undefined) {
      expect(task.isCertain).toBe(false);
      return;
    }
    expect(state.status).not.toBe('running');
    if (task.ended) expect(state).toMatchObject({ status: 'final', finalStatus: 'completed' });
    if (task.started && !task.ended) expect(['final', 'interrupted']).toContain(state.status);
    const isEnded = state.status !== 'received';
    const isDelivered = this.maybeAcknowledged.has(`${taskId}/attempt-1/final`);
    if (!isEnded) expect(finals).toEqual([]);
    else if (finals.length === 0) expect(isDelivered).toBe(true);
    else expect(finals.map(({ status }) => status)).toEqual([state.finalStatus]);
  }

  /** Each stored chunk is pending, in order and as it was, or was acknowledged, or is counted in the marker. */
  private checkStream(
    place: string,
    payloads: readonly string[],
    stored: number,
    messages: readonly (OutputMessage | TruncationMessage)[],
  ): void {
    const pending = messages.filter((message) => message.type === 'output');
    const [marker] = messages.filter((message) => message.type === 'truncation');
    const sequences = pending.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b));
    for (const { sequence, payload } of pending) expect(Buffer.from(payload).toString()).toBe(payloads[sequence - 1]);
    const gone = Array.from({ length: stored }, (_, index) => index + 1).filter((n) => !sequences.includes(n));
    const undelivered = gone.filter((n) => !this.maybeAcknowledged.has(`${place}/${n}`));
    const untold = undelivered.filter((n) => marker === undefined || n < marker.sequence || n > marker.lastSequence);
    expect(untold.filter((n) => !this.isInAcknowledgedMarker(place, n))).toEqual([]);
    if (marker !== undefined)
      expect(marker.droppedChunks).toBeLessThanOrEqual(marker.lastSequence - marker.sequence + 1);
  }

  private isInAcknowledgedMarker(place: string, sequence: number): boolean {
    return [...this.maybeAcknowledged].some((id) => {
      if (!id.startsWith(`${place}/`)) return false;
      const [first = 0, last] = id
        .slice(place.length + 1)
        .split('-')
        .map(Number);
      return last !== undefined && sequence >= first && sequence <= last;
    });
  }
}
