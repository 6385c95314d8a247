import { answerTo } from '../support/answers.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { createTestStores, startTask, type TestStores } from '../support/stores.js';

describe('receipts', () => {
  let opened: OpenTestDatabase;
  let stores: TestStores;

  beforeAll(async () => {
    opened = await openTestDatabase();
    stores = createTestStores(opened.dataSource);
  });
  afterAll(async () => {
    await stores.close();
    await opened.close();
  });

  async function answered(): Promise<string> {
    const { taskId, attempt } = await startTask(stores);
    const requests = [{ suspendId: 'q', reasonCode: 'R', allowedActions: ['go'] }];
    await stores.suspensions.openSuspensions({ taskId, attempt, requests });
    await stores.suspensions.acceptActionIfOpen(answerTo(taskId));
    return taskId;
  }

  const end = (taskId: string): Promise<unknown> =>
    stores.events.append({ taskId, type: 'TASK_CANCELLED', payload: { reason: 'r' }, attempt: null });

  it('are unique by action and by suspension', async () => {
    const taskId = await answered();
    const receipt = await stores.receipts.getReceipt(taskId, 'answer');
    if (receipt === undefined) throw new Error('no receipt');
    expect(await stores.receipts.saveReceipt(receipt)).toBe(false);
    expect(await stores.receipts.saveReceipt({ ...receipt, suspendId: 'r' })).toBe(false);
    expect(await stores.receipts.saveReceipt({ ...receipt, clientActionId: 'b' })).toBe(false);
    const second = { ...receipt, clientActionId: 'b', suspendId: 'r', eventSeq: 4 };
    expect(await stores.receipts.saveReceipt(second)).toBe(true);
    expect(await stores.receipts.listReceipts(taskId)).toEqual([receipt, second]);
  });

  it('are not found under ids that nobody has', async () => {
    expect(await stores.receipts.getReceipt('unknown', 'answer')).toBeUndefined();
    expect(await stores.receipts.listReceipts('unknown')).toEqual([]);
  });

  it('are deleted some time after their task has ended, at most so many at once', async () => {
    const open = await answered();
    const ended = [await answered(), await answered(), await answered()];
    for (const taskId of ended) await end(taskId);
    expect(await stores.receipts.deleteExpiredReceipts(3_600_000, 100)).toBe(0);
    expect(await stores.receipts.deleteExpiredReceipts(0, 2)).toBe(2);
    expect(await stores.receipts.deleteExpiredReceipts(0, 100)).toBe(1);
    expect(await stores.receipts.deleteExpiredReceipts(0, 100)).toBe(0);
    expect(await stores.receipts.listReceipts(open)).toHaveLength(1);
  });
});
