export { type ContractTestApi } from './contract-test-api.js';
export {
  DeterministicFakeExecutor,
  FAKE_EXECUTOR_OPTIONS,
  type FakeExecutorOptions,
} from './deterministic-fake.executor.js';
export {
  describeTaskExecutorContract,
  type ContractTask,
  type ExecutorContractApp,
  type ExecutorContractHarness,
} from './executor-contract.js';
export { describeStoreContract, type ContractStores } from './store-contract.js';
export { readLog, waitForEnd, waitForLog, type LogEntry } from './task-log.js';
