import type { AuthContext } from './auth-context.js';

export interface UploadDescription {
  /** Last path part of the client's file name. */
  name: string;
  contentType: string;
  /** Form fields that preceded the file. */
  fields: Readonly<Record<string, string>>;
}

/** Host hook asked for each file before a byte of it is stored; refuses by throwing `UPLOAD_VALIDATION_ERROR`. */
export abstract class UploadPolicy {
  abstract assertUpload(auth: AuthContext, upload: UploadDescription): Promise<void> | void;
}

/** The default: the configured content types and sizes are the only limits. */
export class AllowUploads extends UploadPolicy {
  assertUpload(): void {}
}
