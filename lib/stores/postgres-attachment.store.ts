import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7, validate as isUuid } from 'uuid';
import { messageOf, TaskBridgeError } from '../taskbridge.errors.js';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { AttachmentStore, type AttachmentUpload } from './attachment.store.js';
import { type AttachmentSql, attachmentSql } from './attachment.sql.js';
import type { StoreOptions } from './event.store.js';
import { dateOrNull, rawCount, type RawRow, rawRows } from './raw-query.js';
import type { AttachmentRecord } from './records.js';
import { tableNames } from './table-names.js';

const CHUNK_BYTES = 256 * 1024;
/** Chunks that one statement removes, 4 MiB: each is over a hundred rows of the out-of-line storage. */
const CHUNKS_PER_STEP = 16;
const STEP_PAUSE_MS = 20;

/**
 * Attachments as chunks in Postgres. An upload holds no connection between its chunks and at most one chunk in memory;
 * its row is there from the start, so that what a crash leaves behind can be found.
 */
@Injectable()
export class PostgresAttachmentStore extends AttachmentStore {
  private readonly logger = new Logger(PostgresAttachmentStore.name);
  private readonly sql: AttachmentSql;

  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    super();
    this.sql = attachmentSql(tableNames(dataSource));
  }

  async stage(upload: AttachmentUpload): Promise<AttachmentRecord> {
    const attachmentId = uuidv7();
    try {
      await rawRows(this.dataSource, this.sql.begin, [attachmentId, upload.position, upload.name, upload.contentType]);
      const { sizeBytes, sha256 } = await this.writeChunks(attachmentId, upload.content);
      const [row] = await rawRows(this.dataSource, this.sql.finish, [attachmentId, sizeBytes, sha256]);
      if (row === undefined) throw discardedMeanwhile(upload.name);
      return attachmentOf(row);
    } catch (error) {
      upload.content.destroy();
      await this.discardQuietly(attachmentId);
      throw error;
    }
  }

  async bind(taskId: string, attachments: readonly AttachmentRecord[], options: StoreOptions = {}): Promise<void> {
    const source = options.manager ?? this.dataSource;
    const bound = await rawCount(source, this.sql.bind, [taskId, attachments.map(({ attachmentId }) => attachmentId)]);
    if (bound !== attachments.length) {
      throw new TaskBridgeError(
        'UPLOAD_VALIDATION_ERROR',
        `Not all attachments of task ${taskId} are staged; upload again`,
      );
    }
  }

  async discard(attachments: readonly AttachmentRecord[]): Promise<void> {
    if (attachments.length === 0) return;
    await rawRows(this.dataSource, this.sql.discard, [attachments.map(({ attachmentId }) => attachmentId)]);
  }

  async list(taskId: string, options: StoreOptions = {}): Promise<AttachmentRecord[]> {
    if (!isUuid(taskId)) return [];
    return (await rawRows(options.manager ?? this.dataSource, this.sql.list, [taskId])).map(attachmentOf);
  }

  open(attachment: AttachmentRecord): Readable {
    return Readable.from(this.readChunks(attachment), { objectMode: false, highWaterMark: CHUNK_BYTES });
  }

  async countOf(taskIds: readonly string[]): Promise<number> {
    const [row] = await rawRows(this.dataSource, this.sql.countOf, [taskIds]);
    return Number(row?.[0] ?? 0);
  }

  async removeOf(taskIds: readonly string[]): Promise<number> {
    while ((await rawCount(this.dataSource, this.sql.removeChunksOf, [taskIds, CHUNKS_PER_STEP])) > 0) {
      await sleep(STEP_PAUSE_MS);
    }
    return rawCount(this.dataSource, this.sql.removeOf, [taskIds]);
  }

  async discardStaged(olderThanMs: number): Promise<number> {
    const [row] = await rawRows(this.dataSource, this.sql.discardStaged, [olderThanMs]);
    return Number(row?.[0] ?? 0);
  }

  private async writeChunks(attachmentId: string, content: Readable): Promise<{ sizeBytes: number; sha256: string }> {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    let chunkNo = 0;
    for await (const chunk of inChunks(content)) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      const written = await rawCount(this.dataSource, this.sql.writeChunk, [attachmentId, chunkNo, chunk]);
      if (written !== 1) throw discardedMeanwhile(attachmentId);
      chunkNo += 1;
    }
    return { sizeBytes, sha256: hash.digest('hex') };
  }

  private async *readChunks({ attachmentId, name, sizeBytes }: AttachmentRecord): AsyncGenerator<Buffer> {
    let read = 0;
    for (let chunkNo = 0; read < sizeBytes; chunkNo += 1) {
      const [row] = await rawRows(this.dataSource, this.sql.readChunk, [attachmentId, chunkNo]);
      if (row === undefined) throw new Error(`Attachment ${name} (${attachmentId}) is gone`);
      const chunk = Buffer.from(String(row[0]), 'hex');
      read += chunk.length;
      yield chunk;
    }
  }

  private async discardQuietly(attachmentId: string): Promise<void> {
    try {
      await rawRows(this.dataSource, this.sql.discard, [[attachmentId]]);
    } catch (error) {
      this.logger.warn({ message: 'A failed upload stays until the clean-up', attachmentId, reason: messageOf(error) });
    }
  }
}

/** Slices of equal size, however the content arrives. */
async function* inChunks(content: Readable): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of content as AsyncIterable<Buffer | string>) {
    let rest = typeof piece === 'string' ? Buffer.from(piece) : piece;
    while (size + rest.length >= CHUNK_BYTES) {
      const fitting = rest.subarray(0, CHUNK_BYTES - size);
      yield Buffer.concat([...pieces, fitting]);
      rest = rest.subarray(fitting.length);
      pieces = [];
      size = 0;
    }
    if (rest.length > 0) pieces.push(rest);
    size += rest.length;
  }
  if (size > 0) yield Buffer.concat(pieces);
}

function attachmentOf(row: RawRow): AttachmentRecord {
  return {
    attachmentId: String(row[0]),
    taskId: typeof row[1] === 'string' ? row[1] : null,
    position: Number(row[2]),
    name: String(row[3]),
    contentType: String(row[4]),
    sizeBytes: Number(row[5]),
    sha256: String(row[6]),
    createdAt: dateOrNull(row[7]) as Date,
  };
}

function discardedMeanwhile(name: string): TaskBridgeError {
  return new TaskBridgeError('UPLOAD_VALIDATION_ERROR', `The upload of ${name} took too long and was discarded`);
}
