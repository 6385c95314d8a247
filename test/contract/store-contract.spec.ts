import { describeStoreContract } from '../../lib/testing/store-contract.js';
import { openTestDatabase } from '../support/database.js';
import { createTestStores } from '../support/stores.js';

describeStoreContract(
  'The Postgres set',
  async () => {
    const opened = await openTestDatabase();
    const stores = createTestStores(opened.dataSource);
    return {
      ...stores,
      beginAttempt: (taskId) => stores.leases.beginAttempt(taskId),
      close: async () => {
        await stores.close();
        await opened.close();
      },
    };
  },
  { describe, it, expect, beforeAll, afterAll },
);
