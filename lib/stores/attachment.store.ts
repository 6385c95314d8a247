import type { Readable } from 'node:stream';
import type { StoreOptions } from './event.store.js';
import type { AttachmentRecord } from './records.js';

export interface AttachmentUpload {
  /** Last path part of the client's file name. */
  name: string;
  contentType: string;
  position: number;
  content: Readable;
}

/**
 * Files that came with a task. Contract: `stage` streams the content in without holding it in memory, hashes it, and
 * belongs to no task until `bind`, which joins the creating transaction. A staged file whose upload failed is removed
 * by `discard`; `discardStaged` removes what a crash left behind. A replacement that keeps the bytes elsewhere must
 * make `bind` idempotent, because the transaction may roll back.
 */
export abstract class AttachmentStore {
  /** Rejects with the content's own error (for example `PAYLOAD_TOO_LARGE`) and then keeps nothing. */
  abstract stage(upload: AttachmentUpload): Promise<AttachmentRecord>;
  abstract bind(taskId: string, attachments: readonly AttachmentRecord[], options?: StoreOptions): Promise<void>;
  abstract discard(attachments: readonly AttachmentRecord[]): Promise<void>;
  /** By position. */
  abstract list(taskId: string, options?: StoreOptions): Promise<AttachmentRecord[]>;
  /** The bytes in order; destroyed with an error when the attachment is gone. */
  abstract open(attachment: AttachmentRecord): Readable;
  /** How many files these tasks have, for the preview of a deletion. */
  abstract countOf(taskIds: readonly string[]): Promise<number>;
  /**
   * Removes every file of ended tasks that are about to be deleted, in steps that leave room for others. Idempotent:
   * several processes may call it for the same tasks. Returns how many files it removed.
   */
  abstract removeOf(taskIds: readonly string[]): Promise<number>;
  /** Removes staged files older than `olderThanMs`; returns the count. */
  abstract discardStaged(olderThanMs: number): Promise<number>;
}
