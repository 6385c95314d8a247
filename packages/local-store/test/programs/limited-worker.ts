import { execFileSync } from 'node:child_process';
import { statSync, writeSync } from 'node:fs';
import { LocalStoreError, openLocalTaskStore, type LocalTaskStore } from '../../src/index.js';

// Fills a store under a limit of the size of files, as `ulimit -f` sets it, and prints as JSON what happened. The limit
// is set from inside, so that it can be raised again.

const [file = '', scenario = '', limitText = '', reserveText = ''] = process.argv.slice(2);
const limit = Number(limitText);
const reserve = Number(reserveText);
const task = (taskId: string) => ({ taskId, executionAttemptId: 'attempt-1' });
const open = (): LocalTaskStore => openLocalTaskStore({ path: file, terminalReserveBytes: reserve });

const scenarios: Record<string, () => object> = {
  full: () => {
    limitFiles(limit);
    let store = open();
    start(store, 'a', 'b', 'c');
    const refused = fill(store);
    const stored = pendingIds(store);
    const refusals = new Set(Array.from({ length: 50 }, () => codeOf(() => append(store, 'a'))));
    const receipt = codeOf(() => store.recordReceived(task('d')));
    const cut = [end(store, 'a')];
    store.close();
    store = open();
    const kept = pendingIds(store).filter((id) => !id.endsWith('/final'));
    cut.push(end(store, 'b'));
    const interrupted = store.markInterruptedRunningTasks().map(({ taskId }) => taskId);
    const delivered = deliver(store);
    const largest = Math.max(...['', '-wal'].map((suffix) => statSync(`${file}${suffix}`).size));
    start(store, 'e');
    const again = codeOf(() => append(store, 'e'));
    return { refused, stored, refusals: [...refusals], receipt, kept, cut, interrupted, delivered, largest, again };
  },
  large: () => {
    limitFiles(limit);
    const store = open();
    start(store, 'a');
    const refused = fill(store);
    const stored = pendingIds(store);
    return { refused, stored, cut: end(store, 'a'), kept: pendingIds(store) };
  },
  raised: () => {
    limitFiles(limit);
    const store = open();
    start(store, 'a');
    const refused = fill(store);
    const stored = pendingIds(store).length;
    limitFiles('unlimited');
    for (let n = 0; n < 1000; n += 1) append(store, 'a');
    return { refused, stored, cut: end(store, 'a'), pending: pendingIds(store).length };
  },
  outgrown: () => {
    let store = open();
    start(store, 'a');
    for (let n = 0; n < 1000; n += 1) append(store, 'a');
    store.close();
    limitFiles(limit);
    store = open();
    const stored = pendingIds(store).length;
    const refused = codeOf(() => append(store, 'a'));
    const delivered = deliver(store);
    const left = pendingIds(store).length;
    limitFiles('unlimited');
    const rest = deliver(store);
    append(store, 'a');
    return { stored, refused, delivered, left, rest, cut: end(store, 'a') };
  },
};

writeSync(1, `${JSON.stringify(scenarios[scenario]?.())}\n`);

function limitFiles(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:`]);
}

function start(store: LocalTaskStore, ...ids: string[]): void {
  for (const id of ids) {
    store.recordReceived(task(id));
    store.recordStarted(id, 'attempt-1');
  }
}

function append(store: LocalTaskStore, taskId: string): void {
  store.appendOutputChunk({ ...task(taskId), stream: 'stdout', payload: Buffer.alloc(4096, 120) });
}

/** Whether the payload of its largest final was cut. */
function end(store: LocalTaskStore, taskId: string): boolean {
  return store.recordFinal({ ...task(taskId), status: 'completed', payload: Buffer.alloc(reserve, 121) })
    .payloadTruncated;
}

/** Appends until one is refused. */
function fill(store: LocalTaskStore): string {
  return codeOf(() => {
    for (let n = 0; n < 5000; n += 1) append(store, 'a');
  });
}

/** The number of messages that could be acknowledged. */
function deliver(store: LocalTaskStore): number {
  const before = pendingIds(store).length;
  codeOf(() => {
    for (const { messageId } of store.unackedMessages()) store.ackMessage(messageId);
  });
  return before - pendingIds(store).length;
}

function pendingIds(store: LocalTaskStore): string[] {
  return [...store.unackedMessages()].map(({ messageId }) => messageId);
}

function codeOf(call: () => unknown): string {
  try {
    call();
    return 'none';
  } catch (error) {
    if (error instanceof LocalStoreError) return error.code;
    throw error;
  }
}
