import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { handler, TaskInstance } from '../support/task-instance.js';

describe('What is logged of requests that succeed', () => {
  let database: TestDatabase;
  let instance: TaskInstance;
  const entries: { level: string; message: unknown }[] = [];
  const as = (level: string) => (message: unknown) => void entries.push({ level, message });

  const asking = handler('asking', {
    run: async (task) => task.suspend({ suspendId: 'q', reasonCode: 'WHY', allowedActions: ['go'] }),
    resume: async (task) => task.suspend({ suspendId: 'again', reasonCode: 'WHY', allowedActions: ['go'] }),
  });

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
    instance = await TaskInstance.open(database, [asking]);
    Logger.overrideLogger({ debug: as('debug'), log: as('log'), warn: as('warn'), error: as('error') });
  });
  afterAll(async () => {
    await instance.close();
    await database.drop();
  });

  it('is one structured line for each, at the level for debugging, and nothing at the others', async () => {
    const clientRequestId = uuidv7();
    const taskId = await instance.create('asking', {}, { clientRequestId });
    await instance.questions(taskId);
    const { clientActionId } = await instance.answer(taskId, 'q');
    await instance.questions(taskId, 2);
    await instance.cancel(taskId);
    expect(entries).toEqual([
      { level: 'debug', message: { message: 'Task created', taskId, taskType: 'asking', clientRequestId } },
      { level: 'debug', message: { message: 'Action accepted', taskId, suspendId: 'q', clientActionId } },
      { level: 'debug', message: { message: 'Cancellation requested', taskId } },
    ]);
  });
});
