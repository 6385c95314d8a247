import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type CheckpointStore, MemoryStore } from '@taskbridge/client';
import { FileStore } from '@taskbridge/client/node';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'taskbridge-store-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** As `localStorage`, which is a store as it is; the browser suite uses the real one. */
class FakeWebStorage {
  private readonly items: Record<string, string> = {};

  getItem(key: string): string | null {
    return this.items[key] ?? null;
  }

  setItem(key: string, value: string): void {
    this.items[key] = value;
  }

  removeItem(key: string): void {
    Reflect.deleteProperty(this.items, key);
  }
}

const STORES: [name: string, make: () => CheckpointStore][] = [
  ['the memory store', () => new MemoryStore()],
  ['the file store', () => new FileStore(path.join(folder, 'made', 'when-needed'))],
  ['web storage', () => new FakeWebStorage()],
];

describe.each(STORES)('%s', (_, make) => {
  it('gives back what was set, until it is removed', async () => {
    const store = make();
    expect((await store.getItem('a:1:cursor')) ?? undefined).toBeUndefined();
    await store.setItem('a:1:cursor', '7-0');
    await store.setItem('a:1:cursor', '8-0');
    await store.setItem('a:2:cursor', '1-0');
    expect(await store.getItem('a:1:cursor')).toBe('8-0');
    await store.removeItem('a:1:cursor');
    await store.removeItem('a:1:cursor');
    expect((await store.getItem('a:1:cursor')) ?? undefined).toBeUndefined();
    expect(await store.getItem('a:2:cursor')).toBe('1-0');
  });
});

describe('the file store', () => {
  it('keeps keys apart that are no file names, and leaves no drafts', async () => {
    const store = new FileStore(folder);
    const keys = ['../outside', '..', 'a/b', 'a%2Fb', 'a*b', 'ü'.repeat(255), `${'ü'.repeat(254)}v`];
    for (const key of keys) await store.setItem(key, key);
    for (const key of keys) expect(await store.getItem(key)).toBe(key);
    const files = await readdir(folder);
    expect(files).toHaveLength(keys.length);
    expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('never shows half of a text while it is replaced', async () => {
    const store = new FileStore(folder);
    const texts = ['1-0', 'x'.repeat(200_000)];
    await store.setItem('key', '1-0');
    for (let round = 0; round < 40; round += 1) {
      const [seen] = await Promise.all([store.getItem('key'), store.setItem('key', texts[round % 2])]);
      expect(texts.includes(seen ?? '')).toBe(true);
    }
  });
});
