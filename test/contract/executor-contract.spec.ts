import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { TaskReporter } from '../../lib/services/task-reporter.js';
import type { TaskRecord } from '../../lib/stores/records.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import {
  describeTaskExecutorContract,
  DeterministicFakeExecutor,
  type ExecutorContractApp,
  type ExecutorContractHarness,
  type FakeExecutorOptions,
} from '../../lib/testing/index.js';
import { createTestDataSource, createTestDatabase } from '../support/database.js';
import { aborted, handler, TaskInstance } from '../support/task-instance.js';

const runner = { describe, it, beforeAll, afterAll, expect };
const behaviours: ExecutorContractHarness['behaviours'] = {
  completes: { taskType: 'completes' },
  fails: { taskType: 'fails' },
  asks: { taskType: 'asks' },
  waits: { taskType: 'waits' },
};

async function open(handlers: readonly Type[], options: TaskBridgeOptions): Promise<ExecutorContractApp> {
  const database = await createTestDatabase();
  await (await createTestDataSource(database)).destroy();
  const instance = await TaskInstance.open(database, handlers, options);
  return {
    get: (token) => instance.get(token),
    close: async () => {
      await instance.close();
      await database.drop();
    },
  };
}

const handlers = [
  handler('completes', { run: async (task) => task.progress(50) }),
  handler('fails', {
    run: async () => {
      throw new Error('as asked');
    },
  }),
  handler('asks', {
    run: async (task) => task.suspend({ reasonCode: 'MAY_I', allowedActions: ['go'] }),
    resume: async () => 'went',
  }),
  handler('waits', {
    run: async ({ signal }) => {
      await aborted(signal);
      throw new Error('stopped');
    },
  }),
];

class FakeByType extends DeterministicFakeExecutor {
  protected override planOf({ taskType }: TaskRecord): FakeExecutorOptions {
    const tickEveryMs = 2;
    if (taskType === 'fails') return { tickEveryMs, failAfterTick: 1 };
    if (taskType === 'waits') return { tickEveryMs, ticks: 100_000 };
    const suspension = { reasonCode: 'MAY_I', allowedActions: ['go'] };
    return taskType === 'asks' ? { tickEveryMs, suspendAfterTick: 1, suspension } : { tickEveryMs };
  }
}

describeTaskExecutorContract('HandlerTaskExecutor', { behaviours, open: () => open(handlers, {}) }, runner);

describeTaskExecutorContract(
  'DeterministicFakeExecutor',
  {
    behaviours,
    open: () =>
      open([], {
        executor: { useFactory: (reporter: TaskReporter) => new FakeByType(reporter), inject: [TaskReporter] },
      }),
  },
  runner,
);
