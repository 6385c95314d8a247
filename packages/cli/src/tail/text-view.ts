import type { TaskEvent, TaskGap } from '@taskbridge/client';
import type { CommandContext } from '../command-context.js';
import { eventText } from './event-text.js';
import type { TailView } from './tail-view.js';

/** For people: a line for each event. */
export class TextView implements TailView {
  private held: string[] | undefined;

  constructor(private readonly context: CommandContext) {}

  protected get isHeld(): boolean {
    return this.held !== undefined;
  }

  event(event: TaskEvent): void {
    this.write(eventText(event));
  }

  gap({ afterEventId, retainedFromEventId }: TaskGap): void {
    this.write(`The events between ${afterEventId} and ${retainedFromEventId} are not stored any more\n`);
  }

  note(text: string): void {
    this.write(`${text}\n`);
  }

  hold(): void {
    this.held ??= [];
  }

  release(): void {
    const texts = this.held ?? [];
    this.held = undefined;
    for (const text of texts) this.write(text);
  }

  close(): void {
    this.release();
  }

  protected write(text: string): void {
    if (this.held) this.held.push(text);
    else this.context.out(text);
  }
}
