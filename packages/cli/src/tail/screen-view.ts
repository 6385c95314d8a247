import { isTerminalEvent, type TaskEvent } from '@taskbridge/client';
import { Presets, SingleBar } from 'cli-progress';
import type { CommandContext, Terminal } from '../command-context.js';
import { saidOf } from './event-text.js';
import { TextView } from './text-view.js';

/** What the bar, the percentage and the spaces take of a line. */
const BAR_WIDTH = 40;
const LINE_WIDTH = BAR_WIDTH + 10;

/** For people at a terminal: progress is a bar below the lines of the other events. */
export class ScreenView extends TextView {
  private bar: SingleBar | undefined;
  private latest: { percentage: number; said: string } | undefined;

  constructor(
    context: CommandContext,
    private readonly terminal: Terminal,
  ) {
    super(context);
  }

  override event(event: TaskEvent): void {
    if (isTerminalEvent(event)) this.latest = undefined;
    if (event.type !== 'TASK_PROGRESS') return super.event(event);
    this.latest = { percentage: Math.round(event.payload.progress), said: saidOf(event.payload) };
    if (!this.isHeld) this.draw();
  }

  override hold(): void {
    this.erase();
    super.hold();
  }

  override release(): void {
    super.release();
    this.draw();
  }

  override close(): void {
    super.close();
    this.erase();
  }

  protected override write(text: string): void {
    this.erase();
    super.write(text);
    if (!this.isHeld) this.draw();
  }

  private draw(): void {
    if (!this.latest) return;
    const { percentage, said: whole } = this.latest;
    const said = whole.slice(0, Math.max(0, this.terminal.output.columns - LINE_WIDTH));
    if (this.bar) return this.bar.update(percentage, { said });
    this.bar = new SingleBar(
      {
        format: '{bar} {percentage} % {said}',
        barsize: BAR_WIDTH,
        hideCursor: true,
        clearOnComplete: true,
        stream: this.terminal.output,
        // The command has its own way to end on Ctrl-C.
        gracefulExit: false,
      },
      Presets.shades_classic,
    );
    this.bar.start(100, percentage, { said });
  }

  private erase(): void {
    this.bar?.stop();
    this.bar = undefined;
  }
}
