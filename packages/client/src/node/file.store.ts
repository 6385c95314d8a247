import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CheckpointStore } from '../checkpoints/checkpoint-store.js';

/** Longer names are refused by file systems. */
const MAX_NAME = 200;

/**
 * A file for each key, in a folder that is made when it is needed. A file is replaced as a whole: a process that dies
 * leaves the old text or the new one.
 */
export class FileStore implements CheckpointStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async getItem(key: string): Promise<string | undefined> {
    try {
      return await readFile(this.#fileOf(key), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async setItem(key: string, value: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const file = this.#fileOf(key);
    const draft = `${file}.${randomUUID()}.tmp`;
    try {
      await writeFile(draft, value);
      await rename(draft, file);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  async removeItem(key: string): Promise<void> {
    await rm(this.#fileOf(key), { force: true });
  }

  #fileOf(key: string): string {
    const name = encodeURIComponent(key).replaceAll('*', '%2A').replaceAll('.', '%2E');
    const short = name.length <= MAX_NAME ? name : createHash('sha256').update(key).digest('hex');
    return path.join(this.#folder, short);
  }
}
