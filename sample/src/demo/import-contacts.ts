import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { isTerminalEventType, type TaskEvent, type TaskSuspendedPayload } from '@taskbridge/protocol';
import { followTask } from './follow-task.js';
import type { TaskClient } from './task-client.js';
import { askPerson, printQuestion, printResult, ProgressDisplay } from './terminal.js';

export interface ImportOptions {
  file: string;
  /** Answers the question with yes instead of asking. */
  yes: boolean;
  /** Aborted by Ctrl-C. */
  interrupted: AbortController;
}

/** Uploads a file of contacts, follows its import to the end, and answers its question on the way. Cancels it when it cannot go on. */
export async function importContacts(client: TaskClient, options: ImportOptions): Promise<void> {
  const { taskId } = await client.upload('contacts.import', `demo-${randomUUID()}`, options.file);
  console.log(`Uploaded ${basename(options.file)} as task ${taskId}`);
  const display = new ProgressDisplay();
  let ended = false;
  try {
    for await (const event of followTask(client, taskId, options.interrupted.signal)) {
      ended = isTerminalEventType(event.type);
      if (event.type !== 'TASK_PROGRESS') display.pause();
      await show(event, client, display, options);
    }
  } finally {
    display.pause();
    if (!ended) await client.cancel(taskId).catch(() => undefined);
  }
}

async function show(
  event: TaskEvent,
  client: TaskClient,
  display: ProgressDisplay,
  options: ImportOptions,
): Promise<void> {
  switch (event.type) {
    case 'TASK_PROGRESS':
      return display.show(event.payload);
    case 'TASK_SUSPENDED':
      return answer(event.taskId, event.payload, client, options);
    case 'TASK_COMPLETED':
      return printResult(event.payload);
    case 'TASK_FAILED':
      throw new Error(`The import failed: ${event.payload.message}`);
    case 'TASK_CANCELLED':
      throw new Error(`The import was cancelled: ${event.payload.reason}`);
  }
}

async function answer(
  taskId: string,
  question: TaskSuspendedPayload,
  client: TaskClient,
  { yes, interrupted }: ImportOptions,
): Promise<void> {
  printQuestion(question);
  const importValid = yes || (await askPerson('Import the others?', interrupted));
  const actionType = importValid ? 'import_valid' : 'reject';
  const { suspendId } = question;
  const { status } = await client.answer(taskId, { clientActionId: randomUUID(), suspendId, actionType });
  console.log(`Answered ${actionType}: ${status}\n`);
}
