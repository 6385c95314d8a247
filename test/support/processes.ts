import { createTestStores, type TestStores } from './stores.js';
import { openTestDatabase } from './database.js';

/** Several processes' worth of stores over one database, and a crowd that uses them all at once. */
export interface TestProcesses {
  readonly processes: readonly TestStores[];
  readonly query: <T>(text: string) => Promise<T[]>;
  readonly processOf: (index: number) => TestStores;
  /** Calls `work` for each member of the crowd, spread over the processes. */
  readonly crowd: <T>(size: number, work: (stores: TestStores, index: number) => Promise<T>) => Promise<T[]>;
  readonly close: () => Promise<void>;
}

/** Each has a lane of its own; the pool is shared. */
export async function openTestProcesses(count: number): Promise<TestProcesses> {
  const opened = await openTestDatabase({ poolSize: 24 });
  const processes = Array.from({ length: count }, () => createTestStores(opened.dataSource));
  const processOf = (index: number): TestStores => processes[index % count];
  return {
    processes,
    processOf,
    query: (text) => opened.dataSource.query(text),
    crowd: (size, work) => Promise.all(Array.from({ length: size }, (_, index) => work(processOf(index), index))),
    close: async () => {
      for (const one of processes) await one.close();
      await opened.close();
    },
  };
}
