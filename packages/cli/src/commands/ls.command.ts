import type { ListTasksQuery } from '@taskbridge/client';
import { TASK_STATUSES, type TaskListItem } from '@taskbridge/protocol';
import { type Command, Option } from 'commander';
import { addConnectionOptions, clientOf, type ConnectionOptions } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { positiveInteger } from '../option-values.js';
import { printableJson, printableLine } from '../printable.js';

interface LsOptions extends ConnectionOptions, Pick<ListTasksQuery, 'status' | 'limit' | 'cursor'> {
  type?: string;
  waiting?: true;
  json?: true;
}

const COLUMNS: readonly [title: string, cell: (task: TaskListItem) => string][] = [
  ['TASK', ({ taskId }) => taskId],
  ['TYPE', ({ taskType }) => taskType],
  ['STATUS', ({ status, waiting }) => (waiting ? `${status}, waiting` : status)],
  ['EVENTS', ({ lastEventId }) => lastEventId?.replace(/-0$/, '') ?? '0'],
  ['CREATED', ({ createdAt }) => createdAt],
];

/** `ls`: one page of the caller's tasks, newest first. */
export function addLsCommand(program: Command, context: CommandContext): void {
  addConnectionOptions(program.command('ls').description('List your tasks, newest first.'))
    .addOption(new Option('--status <status>', 'only these').choices(TASK_STATUSES))
    .option('--type <taskType>', 'only these')
    .option('--waiting', 'only those with an open question')
    .option('--limit <n>', 'at most so many, up to 200 (default: 50)', positiveInteger)
    .option('--cursor <cursor>', 'go on where the page before ended')
    .option('--json', 'the page as one JSON object')
    .action(async ({ type: taskType, status, waiting, limit, cursor, json, ...options }: LsOptions) => {
      const page = await clientOf(options).listTasks({ taskType, status, waiting, limit, cursor });
      context.out(json ? `${printableJson(page)}\n` : tableOf(page.items));
      if (page.nextCursor !== null && !json) context.err(`There are more: --cursor ${page.nextCursor}\n`);
    });
}

function tableOf(tasks: readonly TaskListItem[]): string {
  if (tasks.length === 0) return 'No tasks\n';
  const rows = tasks.map((task) => COLUMNS.map(([, cell]) => printableLine(cell(task))));
  const table = [COLUMNS.map(([title]) => title), ...rows];
  const widths = COLUMNS.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
