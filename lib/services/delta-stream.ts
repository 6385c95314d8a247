import type { TaskMessageLevel } from '@taskbridge/protocol';
import { validationError } from '../taskbridge.errors.js';

/** When deltas become an event. Omitted ones are the defaults. */
export interface DeltaLimits {
  /** Deltas per event, at most, as long as the log keeps up. @default 50 */
  maxDeltas?: number;
  /** How long a delta waits for others, in ms. @default 33 */
  maxDelayMs?: number;
}

/** How a stream of text is merged and shown. */
export interface TaskStreamOptions extends DeltaLimits {
  /** Of the messages that carry the text. @default 'info' */
  level?: TaskMessageLevel;
}

/** What a stream needs from its attempt. */
export interface DeltaTarget {
  /** Appends one event; called in the order of the deltas. */
  append(text: string): Promise<unknown>;
  /** Streams with deltas that are not appended yet: the attempt cuts them before it reports anything else. */
  readonly merging: Set<DeltaStream>;
}

/** Events of one stream that may be under way; with more the deltas go on merging, and `write` makes its caller wait. */
const MAX_UNDER_WAY = 4;
/** An event never grows longer than this, in characters, unless one delta alone does. */
const MAX_CHARACTERS = 8_192;
/** Longer than any reader would call live, in ms. */
const MAX_DELAY_MS = 10_000;
const HIGH_SURROGATE_AT_END = /[\ud800-\udbff]$/;

/**
 * Text that comes in many small pieces, such as the tokens of a language model, merged before it is appended: an event
 * carries up to 50 deltas, or those of 33 ms. Nothing is merged on read, so every follower sees the same events.
 */
export class DeltaStream {
  private readonly maxDeltas: number;
  private readonly maxDelayMs: number;
  private text = '';
  private deltas = 0;
  private underWay = 0;
  private timer: NodeJS.Timeout | undefined;
  private failure: { readonly error: unknown } | undefined;
  private waiting: (() => void)[] = [];

  constructor(
    private readonly target: DeltaTarget,
    { maxDeltas, maxDelayMs }: DeltaLimits = {},
  ) {
    this.maxDeltas = maxDeltas ?? 50;
    this.maxDelayMs = maxDelayMs ?? 33;
    checkLimits({ maxDeltas: this.maxDeltas, maxDelayMs: this.maxDelayMs });
  }

  /**
   * Takes one delta and resolves when the next one is welcome: at once, unless the log is behind. Rejects with
   * `REQUEST_VALIDATION_ERROR` for a delta with NUL, which is left out, and with the refusal of an earlier event, after
   * which the stream takes nothing more; a rejection that nobody awaits is dropped. Half of a surrogate pair waits for
   * its other half.
   */
  write(delta: string): Promise<void> {
    return dropped(this.take(delta));
  }

  /** Resolves when everything written so far is durable; rejects when any of it was refused. */
  flush(): Promise<void> {
    this.end();
    return dropped(this.whenDurable());
  }

  /** Appends what is merged so far, whatever is under way, but for half of a pair whose other half is still to come. */
  cut(): void {
    const half = HIGH_SURROGATE_AT_END.exec(this.text)?.[0] ?? '';
    const whole = this.text.slice(0, this.text.length - half.length);
    this.reset(half);
    if (whole !== '') this.send(whole);
  }

  /** Appends everything: nothing follows, or nobody knows when. */
  end(): void {
    const { text } = this;
    this.reset('');
    if (text !== '') this.send(text);
  }

  private async take(delta: string): Promise<void> {
    this.assertUnbroken();
    if (delta.includes('\u0000')) throw validationError([{ field: 'delta', message: 'must not contain NUL' }]);
    if (delta === '') return;
    if (this.text.length + delta.length > MAX_CHARACTERS) this.cut();
    this.add(delta);
    while (this.underWay >= MAX_UNDER_WAY) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.assertUnbroken();
  }

  private async whenDurable(): Promise<void> {
    while (this.underWay > 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.assertUnbroken();
  }

  private add(delta: string): void {
    this.text += delta;
    this.deltas += 1;
    this.target.merging.add(this);
    this.timer ??= setTimeout(() => this.cutIfRoom(), this.maxDelayMs);
    if (this.deltas >= this.maxDeltas) this.cutIfRoom();
  }

  private cutIfRoom(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.underWay < MAX_UNDER_WAY) this.cut();
  }

  private reset(text: string): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.text = text;
    this.deltas = 0;
    if (text === '') this.target.merging.delete(this);
  }

  /** After a refusal nothing more: what follows a hole would look as if there were none. */
  private send(text: string): void {
    if (this.failure) return;
    this.underWay += 1;
    this.target.append(text.toWellFormed()).then(
      () => this.settled(),
      (error: unknown) => this.settled({ error }),
    );
  }

  private settled(failure?: { readonly error: unknown }): void {
    this.underWay -= 1;
    this.failure ??= failure;
    const { waiting } = this;
    this.waiting = [];
    for (const wake of waiting) wake();
    // What has merged while there was no room is due by now.
    if (this.text !== '' && this.timer === undefined) this.cutIfRoom();
  }

  private assertUnbroken(): void {
    if (this.failure) throw this.failure.error;
  }
}

function checkLimits({ maxDeltas, maxDelayMs }: Required<DeltaLimits>): void {
  const problems = [
    ...(Number.isInteger(maxDeltas) && maxDeltas >= 1
      ? []
      : [{ field: 'maxDeltas', message: 'must be an integer from 1' }]),
    ...(maxDelayMs >= 0 && maxDelayMs <= MAX_DELAY_MS
      ? []
      : [{ field: 'maxDelayMs', message: `must be from 0 to ${MAX_DELAY_MS}` }]),
  ];
  if (problems.length > 0) throw validationError(problems);
}

/** A rejection that nobody awaits must not end the process. */
function dropped(report: Promise<void>): Promise<void> {
  report.catch(() => undefined);
  return report;
}
