import { Injectable } from '@nestjs/common';
import { type EventGap, formatEventId } from '@taskbridge/protocol';
import { TaskRegistry } from '../stores/task-registry.js';
import { TaskBridgeError, taskNotFound } from '../taskbridge.errors.js';
import { TaskQueryService } from './task-query.service.js';

/** What a reader is told whose next events are no longer stored. */
export interface TaskGap extends EventGap {
  /** Number of the oldest event that is still stored. */
  retainedFromSeq: number;
}

/** Knows what retention has left of a log, for readers that have been overtaken by it. */
@Injectable()
export class EventGapService {
  constructor(
    private readonly registry: TaskRegistry,
    private readonly query: TaskQueryService,
  ) {}

  /** Number of the oldest event that is still stored. Rejects with `TASK_NOT_FOUND`. */
  async retainedFrom(taskId: string): Promise<number> {
    const task = await this.registry.getTask(taskId);
    if (!task) throw taskNotFound(taskId);
    return task.retainedFromSeq;
  }

  /**
   * The snapshot is read after the start of the log, so it covers everything before that start, however the log grows
   * or is trimmed meanwhile. Rejects with `TASK_NOT_FOUND`.
   */
  async describe(taskId: string): Promise<TaskGap> {
    const retainedFromSeq = await this.retainedFrom(taskId);
    const snapshot = await this.query.snapshot(taskId);
    return { retainedFromSeq, retainedFromEventId: formatEventId(retainedFromSeq), snapshot };
  }

  /** The `EVENT_GAP` to refuse a reader with. Rejects with `TASK_NOT_FOUND`. */
  async refusal(taskId: string): Promise<TaskBridgeError> {
    return gapError(await this.describe(taskId));
  }
}

/** The refusal of a reader that does not want to skip events unawares. */
export function gapError({ retainedFromEventId, snapshot }: EventGap): TaskBridgeError {
  return new TaskBridgeError(
    'EVENT_GAP',
    'Events after the cursor are no longer stored: apply the snapshot and continue after its lastEventId',
    { details: { retainedFromEventId, snapshot } },
  );
}
