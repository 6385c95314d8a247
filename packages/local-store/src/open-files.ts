import { readlinkSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { StoreLockedError } from './errors.js';

// The system keeps a file's locks for each process, and drops them all when the process closes any descriptor of the
// file. A second open in this process is therefore refused before it opens anything.
const openNames = new Set<string>();

/** As many as systems follow. */
const MAX_LINKS = 40;

/** A file that this process has open as a store, by its {@link realPath} and, once it exists, by its identity on the disk. */
export class OpenFile {
  private readonly names = new Set<string>();

  /** @throws StoreLockedError when this process has it open. */
  constructor(private readonly file: string) {
    const names = [file, ...identity(file)];
    if (names.some((name) => openNames.has(name))) {
      throw new StoreLockedError(file, new Error('This process has it open already'));
    }
    this.remember(names);
  }

  /** To be called when the file has been created, or replaced. */
  created(): void {
    this.remember(identity(this.file));
  }

  /** Idempotent. */
  release(): void {
    for (const name of this.names) openNames.delete(name);
    this.names.clear();
  }

  private remember(names: readonly string[]): void {
    for (const name of names) {
      this.names.add(name);
      openNames.add(name);
    }
  }
}

function identity(file: string): string[] {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? [] : [`${stat.dev}:${stat.ino}`];
}

/**
 * The path without symbolic links, as far as it exists: SQLite keeps the log beside the file itself, not beside a link
 * to it.
 */
export function realPath(file: string, links = 0): string {
  try {
    return realpathSync(file);
  } catch {
    const parent = path.dirname(file);
    if (parent === file) return file;
    const target = links < MAX_LINKS ? linkTarget(file) : undefined;
    if (target !== undefined) return realPath(path.resolve(realPath(parent), target), links + 1);
    return path.join(realPath(parent), path.basename(file));
  }
}

/** Undefined for what is no link. */
function linkTarget(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}
