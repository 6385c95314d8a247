import type { ListTasksQuery } from '@taskbridge/client';
import { TASK_STATUSES, type TaskListItem, type TaskListResponse } from '@taskbridge/protocol';
import { type Command, Option } from 'commander';
import { addConnectionOptions, clientOf, type ConnectionOptions } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { isRecord } from '../is-record.js';
import { positiveInteger } from '../option-values.js';
import { printableJson, printableLine, textOf } from '../printable.js';
import { shellWords } from '../shell-words.js';

interface LsOptions extends ConnectionOptions, Pick<ListTasksQuery, 'status' | 'limit' | 'cursor'> {
  type?: string;
  waiting?: true;
  json?: true;
}

/** Members of any type, and missing ones: a table is for people, who see what is odd. */
const COLUMNS: readonly [title: string, cell: (task: Partial<TaskListItem>) => unknown][] = [
  ['TASK', ({ taskId }) => taskId],
  ['TYPE', ({ taskType }) => taskType],
  ['STATUS', ({ status, waiting }) => (waiting ? `${textOf(status ?? NONE)}, waiting` : status)],
  ['EVENTS', ({ lastEventId }) => textOf(lastEventId ?? '0').replace(/-0$/, '')],
  ['CREATED', ({ createdAt }) => createdAt],
];
const NONE = '-';
/** One wide cell must not widen all rows. */
const MAX_WIDTH = 100;

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
      const page = checked(await clientOf(options).listTasks({ taskType, status, waiting, limit, cursor }));
      if (json) return context.out(`${printableJson(page)}\n`);
      context.out(tableOf(page.items));
      const { nextCursor } = page;
      if (nextCursor) context.err(`There are more: ${shellWords(['--cursor', printableLine(nextCursor)])}\n`);
    });
}

/** Another program at the address may answer anything. */
function checked(page: TaskListResponse): TaskListResponse {
  const { items, nextCursor = null } = page as Partial<TaskListResponse>;
  const isPage = Array.isArray(items) && items.every(isRecord);
  if (isPage && (nextCursor === null || typeof nextCursor === 'string')) return page;
  throw new Error('The answer is not understood: it is no list of tasks');
}

function tableOf(tasks: readonly TaskListItem[]): string {
  if (tasks.length === 0) return 'No tasks\n';
  const rows = tasks.map((task) => COLUMNS.map(([, cell]) => printableLine(cell(task) ?? NONE)));
  const table = [COLUMNS.map(([title]) => title), ...rows];
  const widths = COLUMNS.map((_, column) =>
    Math.min(
      MAX_WIDTH,
      table.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0),
    ),
  );
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
