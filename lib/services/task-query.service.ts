import { Injectable } from '@nestjs/common';
import {
  formatEventId,
  isTaskId,
  type OpenSuspensionView,
  type TaskFailedPayload,
  type TaskListResponse,
  type TaskProgressPayload,
  type TaskSnapshot,
  type TaskStatus,
} from '@taskbridge/protocol';
import type { EntityManager } from 'typeorm';
import { ActionReceiptStore } from '../stores/action-receipt.store.js';
import { AttachmentStore } from '../stores/attachment.store.js';
import { EventStore } from '../stores/event.store.js';
import type { LogEvent, TaskRecord, TaskSuspensionRecord } from '../stores/records.js';
import { SuspensionStore } from '../stores/suspension.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { suspendedPayload } from '../stores/suspended-payload.js';
import { taskNotFound, validationError } from '../taskbridge.errors.js';

export interface ListTasksQuery {
  ownerId: string;
  status?: TaskStatus | undefined;
  taskType?: string | undefined;
  waiting?: boolean | undefined;
  /** 1–200. */
  limit: number;
  /** `nextCursor` of the previous page. */
  cursor?: string | undefined;
}

/** A snapshot looks this far back for the latest progress. */
const PROGRESS_LOOK_BACK = 200;

/** Reads tasks for people: one snapshot, or a page of a subject's own. */
@Injectable()
export class TaskQueryService {
  constructor(
    private readonly registry: TaskRegistry,
    private readonly events: EventStore,
    private readonly suspensions: SuspensionStore,
    private readonly receipts: ActionReceiptStore,
    private readonly attachments: AttachmentStore,
  ) {}

  /**
   * The task as of its `lastEventId`, all of one instant: following the log after that cursor continues exactly from
   * here. Rejects with `TASK_NOT_FOUND`.
   */
  async snapshot(taskId: string): Promise<TaskSnapshot> {
    const state = await this.registry.snapshot((manager) => this.readState(taskId, manager));
    const recent = await this.recentEvents(state.task);
    // The newest event outlives any trimming, so the task was deleted since.
    if (state.task.lastSeq > 0 && recent.at(-1)?.seq !== state.task.lastSeq) throw taskNotFound(taskId);
    return { ...state.view, ...outcomeOf(state.task, recent), progress: latestProgress(recent) };
  }

  /** Newest first. Rejects with `REQUEST_VALIDATION_ERROR` for a cursor that is not one of ours. */
  async list(query: ListTasksQuery): Promise<TaskListResponse> {
    const { cursor, limit, ...filters } = query;
    if (cursor !== undefined && !isTaskId(cursor)) {
      throw validationError([{ field: 'cursor', message: 'must be the nextCursor of an earlier page' }]);
    }
    const rows = await this.registry.list({ ...filters, limit: limit + 1, before: cursor });
    const items = rows.slice(0, limit).map(({ task, waiting }) => ({
      taskId: task.taskId,
      taskType: task.taskType,
      clientRequestId: task.clientRequestId,
      status: task.status,
      waiting,
      createdAt: task.createdAt.toISOString(),
      finishedAt: task.finishedAt?.toISOString() ?? null,
      lastEventId: task.lastSeq === 0 ? null : formatEventId(task.lastSeq),
    }));
    return { items, nextCursor: rows.length > limit ? (items.at(-1)?.taskId ?? null) : null };
  }

  private async readState(taskId: string, manager: EntityManager): Promise<{ task: TaskRecord; view: TaskSnapshot }> {
    const task = await this.registry.getTask(taskId, { manager });
    if (task === undefined) throw taskNotFound(taskId);
    const open = await this.suspensions.listOpen(taskId, { manager });
    const receipts = await this.receipts.listReceipts(taskId, { manager });
    const attachments = await this.attachments.list(taskId, { manager });
    const view: TaskSnapshot = {
      taskId,
      taskType: task.taskType,
      clientRequestId: task.clientRequestId,
      status: task.status,
      createdAt: task.createdAt.toISOString(),
      finishedAt: task.finishedAt?.toISOString() ?? null,
      lastEventId: task.lastSeq === 0 ? null : formatEventId(task.lastSeq),
      metadata: task.metadata,
      input: task.input,
      ...(task.cancelRequestedAt !== null && {
        cancellation: { reason: task.cancelReason ?? '', requestedAt: task.cancelRequestedAt.toISOString() },
      }),
      openSuspensions: open.map(viewOf),
      actions: receipts.map((receipt) => ({
        clientActionId: receipt.clientActionId,
        suspendId: receipt.suspendId,
        actionType: receipt.actionType,
        acceptedAt: receipt.acceptedAt.toISOString(),
        acceptedBy: receipt.acceptedBy,
      })),
      attachments: attachments.map(({ attachmentId, name, contentType, sizeBytes, sha256 }) => ({
        attachmentId,
        name,
        contentType,
        sizeBytes,
        sha256,
      })),
    };
    return { task, view };
  }

  /** Events never change, so reading them outside the snapshot's transaction shows the same ones. */
  private async recentEvents(task: TaskRecord): Promise<LogEvent[]> {
    const after = Math.max(0, task.lastSeq - PROGRESS_LOOK_BACK);
    const events = await this.events.listAfter(task.taskId, after, PROGRESS_LOOK_BACK);
    return events.filter((event) => event.seq <= task.lastSeq);
  }
}

function viewOf(suspension: TaskSuspensionRecord): OpenSuspensionView {
  return { ...suspendedPayload(suspension), createdAt: suspension.createdAt.toISOString() };
}

function outcomeOf(task: TaskRecord, recent: readonly LogEvent[]): Pick<TaskSnapshot, 'result' | 'error'> {
  const last = recent.at(-1);
  if (last === undefined) return {};
  if (task.status === 'COMPLETED') return { result: (JSON.parse(last.payloadJson) as { result: unknown }).result };
  if (task.status === 'FAILED') return { error: JSON.parse(last.payloadJson) as TaskFailedPayload };
  return {};
}

function latestProgress(recent: readonly LogEvent[]): TaskProgressPayload | null {
  const event = recent.findLast(({ type }) => type === 'TASK_PROGRESS');
  return event === undefined ? null : (JSON.parse(event.payloadJson) as TaskProgressPayload);
}
