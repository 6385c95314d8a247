import type { TaskEvent, TaskGap } from '@taskbridge/client';
import type { CommandContext } from '../command-context.js';
import { printableJson } from '../printable.js';
import type { TailView } from './tail-view.js';

/** For programs: each event as its envelope on the wire, a gap as a line of type `GAP`. */
export class JsonView implements TailView {
  constructor(private readonly context: CommandContext) {}

  event(event: TaskEvent): void {
    this.write(envelopeOf(event));
  }

  gap({ taskId, afterEventId, retainedFromEventId }: TaskGap): void {
    this.write({ type: 'GAP', taskId, afterEventId, retainedFromEventId });
  }

  note(text: string): void {
    this.context.err(`${text}\n`);
  }

  hold(): void {}

  release(): void {}

  close(): void {}

  private write(line: object): void {
    this.context.out(`${printableJson(line)}\n`);
  }
}

/** Without what the client adds to it. */
function envelopeOf(event: TaskEvent): object {
  const { taskId, eventId, createdAt, payload } = event;
  const type = event.type === 'UNKNOWN' ? event.wireType : event.type;
  return { type, taskId, eventId, createdAt, payload };
}
