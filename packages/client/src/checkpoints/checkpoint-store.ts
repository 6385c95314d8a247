/**
 * Where checkpoints live: texts by key. Web Storage is one as it is, and so is React Native's `AsyncStorage`. A text that
 * was set is there after a crash, or not at all, never half.
 */
export interface CheckpointStore {
  /** `null` or `undefined` for a key that was never set. */
  getItem(key: string): string | null | undefined | Promise<string | null | undefined>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
}
