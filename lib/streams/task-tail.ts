import { type Observable, Subject } from 'rxjs';
import type { LogEvent } from '../stores/records.js';
import { EventFrame } from './event-frame.js';
import { toBatches, type FrameBatch } from './frame-batch.js';
import { FrameRing, type RingLimits } from './frame-ring.js';

/** What a tail needs from its surroundings. */
export interface TailContext {
  readonly ring: RingLimits;
  /** Rows per read of the log. */
  readonly pageSize: number;
  read(taskId: string, afterSeq: number, limit: number): Promise<LogEvent[]>;
  /** New frames are there: calls `emit` of this tail soon, once for everything that has come until then. */
  schedule(tail: TaskTail): void;
  readFailed(taskId: string, error: unknown): void;
  followerFailed(taskId: string, error: unknown): void;
}

/** Told whenever the tail has something new, or is gone. */
export interface TailFollower {
  pump(): void;
}

/** A batch for whoever asks with the same limit. */
interface SharedBatch {
  readonly batch: FrameBatch;
  readonly maxEvents: number;
}

/** More followers at different cursors than this serialise for themselves. */
const MAX_SHARED_BATCHES = 8;

/**
 * The live end of one task's log in this process, shared by all who follow the task here: the last known number, and
 * the newest frames. It only ever grows by the next number; anything else makes it read the log after its last one.
 */
export class TaskTail {
  /** How many watch; kept by `TaskTails`. */
  watchers = 0;
  private ring: FrameRing;
  private readonly subject = new Subject<readonly EventFrame[]>();
  /** All of them share one subscription to the live stream: each would cost more than the rest of a follower. */
  private readonly followers = new Set<TailFollower>();
  /** Reads that are under way. */
  private pages: Map<string, Promise<FrameBatch[]>> | undefined;
  /** Valid until the next frame arrives. */
  private shared: SharedBatch[] = [];
  private fresh: EventFrame[] = [];
  private pulling = false;
  private pullAgain = false;
  private ended = false;
  private gone = false;

  constructor(
    readonly taskId: string,
    private seq: number,
    private readonly context: TailContext,
  ) {
    this.ring = new FrameRing(context.ring);
    this.subject.subscribe(() => {
      for (const follower of this.followers) this.wake(follower);
    });
  }

  attach(follower: TailFollower): void {
    this.followers.add(follower);
  }

  detach(follower: TailFollower): void {
    this.followers.delete(follower);
  }

  /** Every new frame once, in order, in the batches they came in; hot. */
  get batches$(): Observable<readonly EventFrame[]> {
    return this.subject;
  }

  /** Number of the newest event known here. */
  get lastSeq(): number {
    return this.seq;
  }

  /** The terminal event is known here: nothing will follow. */
  get isEnded(): boolean {
    return this.ended;
  }

  /** The task was deleted: nothing will follow, and what memory does not hold cannot be read any more. */
  get isGone(): boolean {
    return this.gone;
  }

  /** The database does not know the task any more; everybody who waits looks again. */
  markGone(): void {
    this.gone = true;
    this.subject.next([]);
  }

  /** Takes freshly committed events; those already known are skipped, a gap is read from the log. */
  accept(events: readonly LogEvent[]): void {
    for (const event of events) {
      if (event.seq > this.seq + 1) return this.pull();
      if (event.seq === this.seq + 1 && !this.ended) this.push(new EventFrame(event));
    }
  }

  /** Reads the log after the last known event; calls while a read is under way are answered by one more read. */
  pull(): void {
    if (this.pulling) this.pullAgain = true;
    else void this.pullAll();
  }

  /** The next batch after a cursor from memory, shared by all who ask for the same; `undefined` when there is none. */
  next(afterSeq: number, maxEvents: number): FrameBatch | undefined {
    if (afterSeq >= this.seq) return undefined;
    for (const { batch, maxEvents: limit } of this.shared) {
      if (batch.fromSeq === afterSeq + 1 && limit === maxEvents) return batch;
    }
    const batch = this.ring.after(afterSeq, maxEvents);
    if (batch && this.shared.length < MAX_SHARED_BATCHES) this.shared.push({ batch, maxEvents });
    return batch;
  }

  /** One page of the log after a cursor, for who is further behind than memory reaches; equal reads are shared. */
  page(afterSeq: number, limit: number): Promise<FrameBatch[]> {
    const key = `${afterSeq}:${limit}`;
    const pages = (this.pages ??= new Map<string, Promise<FrameBatch[]>>());
    const known = pages.get(key);
    if (known) return known;
    const page = this.readPage(afterSeq, limit).finally(() => pages.delete(key));
    pages.set(key, page);
    return page;
  }

  /** Hands the frames since the last call to the subscribers. */
  emit(): void {
    const frames = this.fresh;
    this.fresh = [];
    if (frames.length > 0) this.subject.next(frames);
  }

  /** What fails for one, in a host's metrics for instance, is no reason for the others to miss anything. */
  private wake(follower: TailFollower): void {
    try {
      follower.pump();
    } catch (error) {
      this.context.followerFailed(this.taskId, error);
    }
  }

  private push(frame: EventFrame): void {
    this.ring.push(frame);
    if (this.shared.length > 0) this.shared = [];
    this.seq = frame.seq;
    this.ended = frame.isTerminal;
    if (this.fresh.push(frame) === 1) this.context.schedule(this);
  }

  private async pullAll(): Promise<void> {
    this.pulling = true;
    try {
      let isFullPage: boolean;
      do {
        this.pullAgain = false;
        const events = await this.context.read(this.taskId, this.seq, this.context.pageSize);
        isFullPage = events.length === this.context.pageSize;
        this.acceptRead(events);
      } while ((isFullPage || this.pullAgain) && !this.ended);
    } catch (error) {
      this.context.readFailed(this.taskId, error);
    } finally {
      this.pulling = false;
    }
  }

  /** What was read begins later than asked for only when retention has removed what was before it. */
  private acceptRead(events: readonly LogEvent[]): void {
    const first = events[0];
    if (first && first.seq > this.seq + 1) this.restartAfter(first.seq - 1);
    this.accept(events);
  }

  /** Followers that are not as far find the gap when they read their next page. */
  private restartAfter(seq: number): void {
    this.ring = new FrameRing(this.context.ring);
    this.shared = [];
    this.seq = seq;
  }

  private async readPage(afterSeq: number, limit: number): Promise<FrameBatch[]> {
    const events = await this.context.read(this.taskId, afterSeq, limit);
    return toBatches(
      events.map((event) => new EventFrame(event)),
      limit,
    );
  }
}
