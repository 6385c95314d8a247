import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { AttachmentRecord } from '../../lib/stores/records.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { createTask, createTestStores, type TestStores } from '../support/stores.js';

const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('attachments', () => {
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

  function stage(content: Readable, name = 'file.bin', position = 0): Promise<AttachmentRecord> {
    return stores.attachments.stage({ name, contentType: 'application/octet-stream', position, content });
  }

  const rowsOf = async (table: string): Promise<number> => {
    const [row] = await opened.dataSource.query<{ count: number }[]>(`select count(*)::int from ${table}`);
    return row?.count ?? -1;
  };
  const stored = async (): Promise<number[]> => [
    await rowsOf('taskbridge_attachments'),
    await rowsOf('taskbridge_attachment_chunks'),
  ];

  it('are stored as they came, with size and hash, and read as often as one likes', async () => {
    const content = randomBytes(MIB + 12_345);
    const pieces = [content.subarray(0, 10), content.subarray(10, 700_001), content.subarray(700_001)];
    const record = await stage(Readable.from(pieces), 'bytes.bin', 3);
    expect(record).toMatchObject({
      taskId: null,
      name: 'bytes.bin',
      position: 3,
      sizeBytes: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
    });
    for (const _time of [1, 2]) expect((await buffer(stores.attachments.open(record))).equals(content)).toBe(true);
  });

  it('may be empty, or text', async () => {
    const empty = await stage(Readable.from([]));
    expect([empty.sizeBytes, (await buffer(stores.attachments.open(empty))).length]).toEqual([0, 0]);
    const text = await stage(Readable.from(['grüße', ' an alle']));
    expect((await buffer(stores.attachments.open(text))).toString()).toBe('grüße an alle');
  });

  it('pass through in little memory', async () => {
    const chunk = randomBytes(64 * 1024);
    const hash = createHash('sha256');
    let peak = 0;
    /** What is still held, not what the collector has not come to yet. */
    const measure = (bytes: number): void => {
      if (bytes % (8 * MIB) !== 0) return;
      collectGarbage();
      peak = Math.max(peak, process.memoryUsage().arrayBuffers);
    };
    async function* produce(): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < 80 * MIB; sent += chunk.length) {
        measure(sent);
        hash.update(chunk);
        yield chunk;
      }
    }
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    const record = await stage(Readable.from(produce()));
    expect(record).toMatchObject({ sizeBytes: 80 * MIB, sha256: hash.digest('hex') });
    let read = 0;
    for await (const piece of stores.attachments.open(record) as AsyncIterable<Buffer>) {
      read += piece.length;
      measure(read);
    }
    expect(read).toBe(80 * MIB);
    expect(peak - before).toBeLessThan(24 * MIB);
  });

  it('of 5 MiB that end in an error keep nothing and reject with that error', async () => {
    const before = await stored();
    async function* failing(): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < 5; sent += 1) yield randomBytes(MIB);
      throw Object.assign(new Error('too large'), { code: 'PAYLOAD_TOO_LARGE' });
    }
    await expect(stage(Readable.from(failing()))).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
    expect(await stored()).toEqual(before);
  });

  it('are refused by the database without a trace, and their content is ended', async () => {
    const before = await stored();
    const content = Readable.from([randomBytes(10)]);
    await expect(stage(content, 'nul\0.bin')).rejects.toMatchObject({ code: '22021' });
    expect([await stored(), content.destroyed]).toEqual([before, true]);
  });

  it('belong to a task once they are bound, by position', async () => {
    const { taskId } = await createTask(stores);
    const second = await stage(Readable.from(['b']), 'b.txt', 1);
    const first = await stage(Readable.from(['a']), 'a.txt', 0);
    await stores.attachments.bind(taskId, [second, first]);
    await stores.attachments.bind(taskId, [second]);
    expect((await stores.attachments.list(taskId)).map(({ name, taskId: owner }) => [name, owner])).toEqual([
      ['a.txt', taskId],
      ['b.txt', taskId],
    ]);
    await stores.attachments.discard([first]);
    expect(await stores.attachments.list(taskId)).toHaveLength(2);
    const other = await createTask(stores);
    await expect(stores.attachments.bind(other.taskId, [first])).rejects.toMatchObject({
      code: 'UPLOAD_VALIDATION_ERROR',
    });
    expect(await stores.attachments.list('unknown')).toEqual([]);
  });

  it('stay staged when the transaction that bound them rolls back', async () => {
    const { taskId } = await createTask(stores);
    const record = await stage(Readable.from(['a']));
    const failed = stores.registry.transaction(async (manager) => {
      await stores.attachments.bind(taskId, [record], { manager });
      expect(await stores.attachments.list(taskId, { manager })).toHaveLength(1);
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    expect(await stores.attachments.list(taskId)).toEqual([]);
    await stores.attachments.discard([record]);
    const content = stores.attachments.open(record);
    await expect(buffer(content)).rejects.toThrow('is gone');
    expect(content.destroyed).toBe(true);
  });

  it('that a crash left staged are cleaned up, those of tasks are not', async () => {
    const { taskId } = await createTask(stores);
    const bound = await stage(Readable.from(['a']));
    await stores.attachments.bind(taskId, [bound]);
    await stage(Readable.from(['left behind']));
    expect(await stores.attachments.discardStaged(3_600_000)).toBe(0);
    expect(await stores.attachments.discardStaged(0)).toBeGreaterThan(0);
    expect(await rowsOf('taskbridge_attachments where task_id is null')).toBe(0);
    expect((await buffer(stores.attachments.open(bound))).toString()).toBe('a');
    const orphans =
      'taskbridge_attachment_chunks where attachment_id not in (select attachment_id from taskbridge_attachments)';
    expect(await rowsOf(orphans)).toBe(0);
  });

  it('that are discarded while they arrive are refused', async () => {
    async function* slow(): AsyncGenerator<Buffer> {
      yield randomBytes(MIB);
      await stores.attachments.discardStaged(0);
      yield randomBytes(MIB);
    }
    await expect(stage(Readable.from(slow()))).rejects.toMatchObject({ code: 'UPLOAD_VALIDATION_ERROR' });
    expect(
      await rowsOf(
        'taskbridge_attachment_chunks c where not exists (select 1 from taskbridge_attachments a where a.attachment_id = c.attachment_id)',
      ),
    ).toBe(0);
  });
});
