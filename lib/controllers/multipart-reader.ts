import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import type { IncomingMessage } from 'node:http';
import { TaskBridgeError } from '../taskbridge.errors.js';

export interface MultipartFile {
  field: string;
  /** As the client sent it; `undefined` for a part without one. */
  fileName: string | undefined;
  contentType: string;
  content: BusboyFileStream;
}

/** Called in the order of the parts; a throw ends the reading with that error. */
export interface MultipartHandlers {
  /** These names are text, whatever file name or content type their part has. */
  isText(field: string): boolean;
  onText(field: string, text: string, truncated: boolean): void;
  /** Must read `content` to its end or throw. */
  onFile(file: MultipartFile): Promise<void>;
}

export interface MultipartLimits {
  /** Of one text field; a longer one arrives truncated. */
  textBytes: number;
  /** Of the whole body; more is `PAYLOAD_TOO_LARGE`. */
  totalBytes: number;
}

/**
 * Reads a form from the raw request without holding a file in memory: while a file waits for its turn or for the
 * storage, the client is not read. Rejects with the first error of a handler, or with `INVALID_REQUEST` for a form that
 * is malformed or ends early; by then no handler is running any more.
 */
export async function readMultipart(
  request: IncomingMessage,
  limits: MultipartLimits,
  handlers: MultipartHandlers,
): Promise<void> {
  const parser = createParser(request, limits.textBytes, handlers);
  await new MultipartReading(parser, request, limits, handlers).done();
}

class MultipartReading {
  private readonly files = new Set<BusboyFileStream>();
  private staging = Promise.resolve();
  private received = 0;
  private failure: { error: unknown } | undefined;

  constructor(
    private readonly parser: BusboyInstance,
    private readonly request: IncomingMessage,
    private readonly limits: MultipartLimits,
    private readonly handlers: MultipartHandlers,
  ) {}

  async done(): Promise<void> {
    const parsed = this.parse();
    this.request.pipe(this.parser);
    await parsed;
    await this.staging;
    if (this.failure) throw this.failure.error;
  }

  private parse(): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        this.request.unpipe(this.parser);
        this.request.off('data', count).off('close', closed).off('error', broken);
        resolve();
      };
      const fail = (error: unknown) => {
        this.fail(error);
        finish();
      };
      const broken = () => fail(malformed('The request ended before its form did'));
      const closed = () => (this.request.readableEnded ? undefined : broken());
      const count = (chunk: Buffer) => {
        this.received += chunk.length;
        if (this.received > this.limits.totalBytes)
          fail(new TaskBridgeError('PAYLOAD_TOO_LARGE', 'The form is too large'));
      };
      this.request.on('data', count).once('close', closed).once('error', broken);
      this.parser.on('finish', finish);
      this.parser.on('error', (cause) => fail(malformed('The form is malformed', cause)));
      this.parser.on('field', (field, text, _nameCut, truncated) => this.takeText(field, text, truncated, fail));
      this.parser.on('file', (field, content, fileName, _encoding, contentType) =>
        this.takeFile({ field, content, fileName, contentType }, fail),
      );
    });
  }

  private takeText(field: string | undefined, text: string, truncated: boolean, fail: (error: unknown) => void): void {
    if (this.failure) return;
    if (!field) return fail(nameless());
    try {
      this.handlers.onText(field, text, truncated);
    } catch (error) {
      fail(error);
    }
  }

  private takeFile(file: MultipartFile, fail: (error: unknown) => void): void {
    this.files.add(file.content);
    // Whoever reads the file learns of the error as well; before that nobody would.
    file.content.on('error', () => undefined);
    if (!file.field) return fail(nameless());
    this.staging = this.staging.then(() => this.stage(file, fail));
  }

  private async stage(file: MultipartFile, fail: (error: unknown) => void): Promise<void> {
    if (this.failure) return;
    try {
      await this.handlers.onFile(file);
      this.files.delete(file.content);
    } catch (error) {
      fail(error);
    }
  }

  /** The first failure counts; it ends the files that are being read or wait for it. */
  private fail(error: unknown): void {
    if (this.failure) return;
    this.failure = { error };
    for (const file of this.files) file.destroy(error as Error);
  }
}

function createParser(request: IncomingMessage, maxTextBytes: number, handlers: MultipartHandlers): BusboyInstance {
  const { 'content-type': contentType = '' } = request.headers;
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits: { fieldSize: maxTextBytes, headerPairs: 100, headerSize: 16 * 1024 },
      preservePath: true,
      isPartAFile: (field, type, fileName) =>
        !handlers.isText(field ?? '') && (fileName !== undefined || type === 'application/octet-stream'),
    });
  } catch (cause) {
    throw malformed('The form has no boundary', cause);
  }
}

/** The parser hands out such a part with `undefined` for its name, whatever its types say. */
function nameless(): TaskBridgeError {
  return malformed('A part of the form has no name');
}

function malformed(message: string, cause?: unknown): TaskBridgeError {
  return new TaskBridgeError('INVALID_REQUEST', message, { cause });
}
