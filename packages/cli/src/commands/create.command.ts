import { openAsBlob } from 'node:fs';
import path from 'node:path';
import type { TaskAttachment, TaskBridgeClient } from '@taskbridge/client';
import type { TaskCreatedResponse } from '@taskbridge/protocol';
import type { Command } from 'commander';
import { addConnectionOptions, type ConnectionOptions } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { jsonArgument } from '../json-argument.js';
import { printableJson } from '../printable.js';
import { OutageNotes } from '../tail/outage-notes.js';
import { addTailOptions, tailingClient, type TailOptions } from '../tail/tail-options.js';
import { tailTask } from '../tail/tail-task.js';

interface CreateOptions extends ConnectionOptions, TailOptions {
  input?: string;
  metadata?: string;
  attach: string[];
  requestId?: string;
  follow?: true;
}

/** `create`: prints the new task's id; with `--follow` it ends like `tail`. */
export function addCreateCommand(program: Command, context: CommandContext): void {
  const command = addConnectionOptions(program.command('create <taskType>').description('Start a task.'))
    .option('--input <json>', 'what the task works on: JSON, @file or - for standard input')
    .option('--metadata <json>', 'kept with the task: JSON, @file or -')
    .option('--attach <file>', 'sent with it; may be repeated', (file, before: string[]) => [...before, file], [])
    .option('--request-id <id>', 'the same id finds the task that it created before')
    .option('--follow', 'go on with tail');
  addTailOptions(command).action(async (taskType: string, options: CreateOptions) => {
    const outages = new OutageNotes((text) => context.err(`${text}\n`));
    const client = tailingClient(options, context, outages);
    const created = await start(client, taskType, options, context);
    if (options.follow) return tailTask({ client, outages, taskId: created.taskId, options, context });
    context.out(options.json ? `${printableJson(created)}\n` : `${created.taskId}\n`);
  });
}

async function start(
  client: TaskBridgeClient,
  taskType: string,
  options: CreateOptions,
  context: CommandContext,
): Promise<TaskCreatedResponse> {
  const request = {
    taskType,
    input: await jsonArgument('--input', options.input, context),
    metadata: await jsonArgument('--metadata', options.metadata, context),
    clientRequestId: options.requestId,
  };
  if (options.attach.length === 0) return client.startTask(request);
  return client.startTaskMultipart({ ...request, attachments: await Promise.all(options.attach.map(attachment)) });
}

async function attachment(file: string): Promise<TaskAttachment> {
  try {
    return { name: path.basename(file), data: await openAsBlob(file) };
  } catch (error) {
    throw new Error(`--attach ${file} cannot be read`, { cause: error });
  }
}
