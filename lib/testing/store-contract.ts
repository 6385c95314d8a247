import type { ContractTestApi } from './contract-test-api.js';
import type { ContractStores } from './contract-stores.js';
import { describeEventStore } from './event-store-contract.js';
import { describeSuspensionStore } from './suspension-store-contract.js';
import { describeTaskRegistry } from './task-registry-contract.js';

export type { ContractStores } from './contract-stores.js';

/**
 * The tests that a set of stores has to pass: order, atomicity, fencing, idempotency and errors as the abstract stores
 * state them. `createStores` is called once; it may share a database with others.
 */
export function describeStoreContract(
  name: string,
  createStores: () => Promise<ContractStores>,
  api: ContractTestApi,
): void {
  api.describe(`${name} keeps the contract of the stores`, () => {
    let opened: ContractStores | undefined;
    const stores = (): ContractStores => {
      if (opened === undefined) throw new Error('The stores were not created');
      return opened;
    };
    api.beforeAll(async () => {
      opened = await createStores();
    });
    api.afterAll(async () => opened?.close());
    describeTaskRegistry(api, stores);
    describeEventStore(api, stores);
    describeSuspensionStore(api, stores);
  });
}
