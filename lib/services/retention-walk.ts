import type { DueTask, RetentionPage } from '../stores/task-retention.store.js';

/** The items of page after page, until the last one or the signal. */
export async function* pages<T, C>(
  first: C,
  read: (after: C) => Promise<RetentionPage<T, C>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T[]> {
  let after: C | undefined = first;
  while (after !== undefined) {
    if (signal?.aborted) return;
    const page: RetentionPage<T, C> = await read(after);
    yield page.items;
    after = page.next;
  }
}

/** Tasks in groups that have at most `maxRows` rows together; one that has more is alone. */
export function packs(tasks: readonly DueTask[], maxRows: number): DueTask[][] {
  const all: DueTask[][] = [];
  let rows = Infinity;
  for (const task of tasks) {
    const more = task.storedEvents + 1;
    if (rows + more > maxRows) {
      all.push([]);
      rows = 0;
    }
    all.at(-1)?.push(task);
    rows += more;
  }
  return all;
}

export function idOf({ taskId }: { taskId: string }): string {
  return taskId;
}
