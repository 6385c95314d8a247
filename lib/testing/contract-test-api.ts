/** The part of a test runner that the contract suites use; Jest's and Vitest's fit. */
export interface ContractTestApi {
  readonly describe: (name: string, body: () => void) => void;
  readonly it: (name: string, body: () => Promise<void>) => void;
  readonly beforeAll: (body: () => Promise<void>) => void;
  readonly afterAll: (body: () => Promise<void>) => void;
  readonly expect: (actual: unknown) => { toBe(expected: unknown): void; toEqual(expected: unknown): void };
}
