import { setTimeout as delay } from 'node:timers/promises';
import type { IncomingMessage } from 'node:http';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AuthContext } from '../security/auth-context.js';
import type { UploadPolicy } from '../security/upload-policy.js';
import type { AttachmentStore } from '../stores/attachment.store.js';
import type { AttachmentRecord } from '../stores/records.js';
import { TaskBridgeError, validationError } from '../taskbridge.errors.js';
import type { HttpRouteSettings } from '../taskbridge.options.js';
import { readCreateBody } from './create-body.js';
import type { CreateTaskDto } from './dto/create-task.dto.js';
import { readMultipart, type MultipartFile } from './multipart-reader.js';
import { isAllowedType, uploadName } from './upload-name.js';

const TEXT_FIELDS = ['clientRequestId', 'taskType', 'input', 'metadata'];
const JSON_FIELDS = ['input', 'metadata'];
const FILE_FIELDS = ['attachment', 'attachments'];

/** Boundaries, headers and short fields of a form. */
const FORM_OVERHEAD_BYTES = 256 * 1024;

/** A client that is still sending when it is refused gets this long to finish and read the answer. */
const DISCARD_MS = 5_000;

/** A create as its form has it, its files staged and not yet bound to a task. */
export interface MultipartCreateResult extends CreateTaskDto {
  attachments: AttachmentRecord[];
}

/** True for the forms that `MultipartCreate` reads. */
export function isMultipart(request: FastifyRequest): boolean {
  return /^multipart\/form-data\b/i.test(request.headers['content-type'] ?? '');
}

/** Reads a create that comes as a form: fields and files in any order, the files straight into the `AttachmentStore`. */
export class MultipartCreate {
  constructor(
    private readonly store: AttachmentStore,
    private readonly policy: UploadPolicy,
    private readonly settings: HttpRouteSettings,
  ) {}

  /** Staged files are discarded when it rejects; afterwards they are the caller's to bind or discard. */
  async read(request: FastifyRequest, reply: FastifyReply, auth: AuthContext): Promise<MultipartCreateResult> {
    assertUnread(request);
    const form = new CreateForm(this.store, this.policy, this.settings, auth);
    try {
      await form.read(request.raw, this.totalBytes(request));
      const body = readCreateBody(request, form.body(), this.settings.maxPayloadDepth);
      return { ...body, attachments: form.staged };
    } catch (error) {
      await this.store.discard(form.staged);
      await discardRest(request.raw, reply, this.settings.maxUploadBytes);
      throw error;
    }
  }

  private totalBytes(request: FastifyRequest): number {
    const { maxUploadBytes, maxJsonBytes } = this.settings;
    const totalBytes = maxUploadBytes + JSON_FIELDS.length * maxJsonBytes + FORM_OVERHEAD_BYTES;
    if (Number(request.headers['content-length'] ?? 0) > totalBytes) throw tooLarge(maxUploadBytes);
    return totalBytes;
  }
}

class CreateForm {
  readonly staged: AttachmentRecord[] = [];
  private readonly texts = new Map<string, string>();
  private uploadedBytes = 0;
  private emptyParts = 0;

  constructor(
    private readonly store: AttachmentStore,
    private readonly policy: UploadPolicy,
    private readonly settings: HttpRouteSettings,
    private readonly auth: AuthContext,
  ) {}

  async read(request: IncomingMessage, totalBytes: number): Promise<void> {
    const limits = { textBytes: this.settings.maxJsonBytes, totalBytes };
    await readMultipart(request, limits, {
      isText: (field) => TEXT_FIELDS.includes(field),
      onText: (field, text, truncated) => this.takeText(field, text, truncated),
      onFile: (file) => this.takeFile(file),
    });
  }

  /** What the same create would have as its JSON body. */
  body(): Record<string, unknown> {
    return Object.fromEntries([...this.texts].map(([field, text]) => [field, fieldValue(field, text)]));
  }

  private takeText(field: string, text: string, truncated: boolean): void {
    if (FILE_FIELDS.includes(field)) throw uploadRefused(`${field} must be a file with a file name`);
    if (!TEXT_FIELDS.includes(field)) throw validationError([{ field, message: 'is not a known field' }]);
    if (this.texts.has(field)) throw validationError([{ field, message: 'is there more than once' }]);
    if (truncated) {
      throw new TaskBridgeError('PAYLOAD_TOO_LARGE', `${field} is larger than ${this.settings.maxJsonBytes} bytes`);
    }
    this.texts.set(field, text);
  }

  private async takeFile(file: MultipartFile): Promise<void> {
    if (!FILE_FIELDS.includes(file.field)) throw uploadRefused(`Files come as attachment, not as ${file.field}`);
    // A browser sends the file input that was left empty like this.
    if (file.fileName === '') return this.skipEmpty(file);
    const name = uploadName(file.fileName ?? '');
    if (name === undefined) throw uploadRefused('A file needs a file name');
    await this.assertAccepted(name, file.contentType);
    await this.stage(name, file);
  }

  /** Counted apart from the files: a form may have many inputs for the few files it takes. */
  private async skipEmpty(file: MultipartFile): Promise<void> {
    const { maxUploadFiles } = this.settings;
    this.emptyParts += 1;
    if (this.emptyParts > maxUploadFiles)
      throw uploadRefused(`There may be at most ${maxUploadFiles} empty file parts`);
    await assertEmpty(file);
  }

  private async assertAccepted(name: string, contentType: string): Promise<void> {
    const { maxUploadFiles, allowedUploadContentTypes } = this.settings;
    if (this.staged.length >= maxUploadFiles) throw uploadRefused(`There may be at most ${maxUploadFiles} files`);
    if (!isAllowedType(contentType, allowedUploadContentTypes)) {
      throw uploadRefused(`Files of type ${contentType.slice(0, 255)} are not accepted`);
    }
    await this.policy.assertUpload(this.auth, { name, contentType, fields: Object.fromEntries(this.texts) });
  }

  private async stage(name: string, { content, contentType }: MultipartFile): Promise<void> {
    const limited = new Transform({ transform: (chunk, _encoding, next) => this.count(chunk, next) });
    const position = this.staged.length;
    const staging = this.store.stage({ name, contentType, position, content: limited });
    // A store that gave up reads no further; without this the client would wait for it.
    staging.catch((error: unknown) => limited.destroy(error as Error));
    const [staged, sent] = await Promise.allSettled([staging, pipeline(content, limited)]);
    if (staged.status === 'fulfilled') this.staged.push(staged.value);
    if (sent.status === 'rejected') throw sent.reason;
    if (staged.status === 'rejected') throw staged.reason;
  }

  private count(chunk: Buffer, next: TransformCallback): void {
    this.uploadedBytes += chunk.length;
    if (this.uploadedBytes > this.settings.maxUploadBytes) next(tooLarge(this.settings.maxUploadBytes));
    else next(null, chunk);
  }
}

function fieldValue(field: string, text: string): unknown {
  if (!JSON_FIELDS.includes(field)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw validationError([{ field, message: 'is not valid JSON' }]);
  }
}

async function assertEmpty(file: MultipartFile): Promise<void> {
  for await (const chunk of file.content) {
    if ((chunk as Buffer).length > 0) throw uploadRefused('A file needs a file name');
  }
}

/** Fastify has the body already where the host's multipart plugin reads forms on its own; then no file can be streamed. */
function assertUnread(request: FastifyRequest): void {
  if (request.body === undefined || request.body === null) return;
  throw new Error(
    'The form was read before TaskBridge could: register @fastify/multipart without attachFieldsToBody, ' +
      'or leave its registration to TaskBridge',
  );
}

/** Lets a refused client finish, within limits: one that is cut off in the middle of sending may never see the answer. */
async function discardRest(request: IncomingMessage, reply: FastifyReply, maxBytes: number): Promise<void> {
  if (request.readableEnded || request.destroyed) return;
  const stop = new AbortController();
  let discarded = 0;
  const count = (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > maxBytes) stop.abort();
  };
  const ended = () => stop.abort();
  request.on('data', count).once('end', ended).once('close', ended).resume();
  // Rejects when the client is done, or has sent too much: that ends the wait.
  await delay(DISCARD_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  request.off('data', count).off('end', ended).off('close', ended);
  if (!request.readableEnded) void reply.header('connection', 'close');
}

function uploadRefused(message: string): TaskBridgeError {
  return new TaskBridgeError('UPLOAD_VALIDATION_ERROR', message);
}

function tooLarge(maxUploadBytes: number): TaskBridgeError {
  return new TaskBridgeError('PAYLOAD_TOO_LARGE', `The files are larger than ${maxUploadBytes} bytes together`);
}
