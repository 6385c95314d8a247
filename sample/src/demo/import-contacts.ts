import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { isTerminalEvent, type TaskBridgeClient, type TaskEvent, type TaskSuspension } from '@taskbridge/client';
import { askPerson, printQuestion, printResult, ProgressDisplay } from './terminal.js';

export interface ImportOptions {
  file: string;
  /** Answers the question with yes instead of asking. */
  yes: boolean;
  /** Aborted by Ctrl-C. */
  interrupted: AbortController;
}

/** Uploads a file of contacts, follows its import to the end, and answers its question on the way. Cancels it when it cannot go on. */
export async function importContacts(client: TaskBridgeClient, options: ImportOptions): Promise<void> {
  const attachments = [{ name: basename(options.file), data: await readFile(options.file), contentType: 'text/csv' }];
  const { taskId } = await client.startTaskMultipart({ taskType: 'contacts.import', attachments });
  console.log(`Uploaded ${basename(options.file)} as task ${taskId}`);
  const display = new ProgressDisplay();
  let ended = false;
  try {
    for await (const event of client.observeTaskEvents(taskId, { signal: options.interrupted.signal })) {
      ended = isTerminalEvent(event);
      if (event.type !== 'TASK_PROGRESS') display.pause();
      await show(event, client, display, options);
    }
  } finally {
    display.pause();
    if (!ended) await client.cancelTask(taskId).catch(() => undefined);
  }
}

async function show(
  event: TaskEvent,
  client: TaskBridgeClient,
  display: ProgressDisplay,
  options: ImportOptions,
): Promise<void> {
  switch (event.type) {
    case 'TASK_PROGRESS':
      return display.show(event.payload);
    case 'TASK_SUSPENDED':
      return answer(event.taskId, event.suspension, client, options);
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
  question: TaskSuspension,
  client: TaskBridgeClient,
  { yes, interrupted }: ImportOptions,
): Promise<void> {
  printQuestion(question);
  const importValid = yes || (await askPerson('Import the others?', interrupted));
  const actionType = importValid ? 'import_valid' : 'reject';
  const { suspendId } = question;
  const { status } = await client.submitAction(taskId, { suspendId, actionType });
  console.log(`Answered ${actionType}: ${status}\n`);
}
