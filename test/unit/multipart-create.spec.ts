import multipart from '@fastify/multipart';
import fastify, { type FastifyInstance } from 'fastify';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { toErrorResponse } from '../../lib/controllers/error-envelope.js';
import { MultipartCreate } from '../../lib/controllers/multipart-create.js';
import { UploadPolicy, type UploadDescription } from '../../lib/security/upload-policy.js';
import { AttachmentStore, type AttachmentUpload } from '../../lib/stores/attachment.store.js';
import type { AttachmentRecord } from '../../lib/stores/records.js';
import { TaskBridgeError } from '../../lib/taskbridge.errors.js';
import { resolveHttpRoutes } from '../../lib/taskbridge.settings.js';
import { eventually } from '../support/eventually.js';

const KIB = 1024;
const auth = { subject: 'ada', scopes: [], appId: null, attributes: {} };

/** A host's store: keeps hashes, and what is neither bound nor discarded. */
class RecordingStore extends AttachmentStore {
  readonly staged = new Map<string, AttachmentRecord>();
  received = 0;
  failing = false;

  async countOf(): Promise<number> {
    return 0;
  }

  async removeOf(): Promise<number> {
    return 0;
  }

  async stage({ content, ...upload }: AttachmentUpload): Promise<AttachmentRecord> {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for await (const chunk of content as AsyncIterable<Buffer>) {
      if (this.failing) throw new Error('the disk is full');
      this.received += chunk.length;
      sizeBytes += chunk.length;
      hash.update(chunk);
    }
    const attachmentId = `file-${upload.position}`;
    const record = {
      ...upload,
      attachmentId,
      taskId: null,
      sizeBytes,
      sha256: hash.digest('hex'),
      createdAt: new Date(),
    };
    this.staged.set(attachmentId, record);
    return record;
  }

  async bind(): Promise<void> {}
  async discard(attachments: readonly AttachmentRecord[]): Promise<void> {
    for (const { attachmentId } of attachments) this.staged.delete(attachmentId);
  }
  async list(): Promise<AttachmentRecord[]> {
    return [...this.staged.values()];
  }
  open(): Readable {
    throw new Error('not stored');
  }
  async discardStaged(): Promise<number> {
    return 0;
  }
}

class RecordingPolicy extends UploadPolicy {
  readonly asked: UploadDescription[] = [];
  assertUpload(_auth: unknown, upload: UploadDescription): void {
    this.asked.push(upload);
    if (upload.name.endsWith('.exe')) throw new TaskBridgeError('UPLOAD_VALIDATION_ERROR', 'no programs');
  }
}

type Part = [name: string, value: string | Blob, fileName?: string];

const text = (content: string): Blob => new Blob([content], { type: 'text/csv' });

/** The beginning of a file's part, its content not included. */
const file = (name: string): string =>
  `--x\r\ncontent-disposition: form-data; name="attachment"; filename="${name}"\r\n\r\n`;

/** Names of the fields that a 422 lists. */
const fields = ({ body }: { body: Record<string, unknown> }): string[] =>
  ((body['details'] as { fields: { field: string }[] } | undefined)?.fields ?? []).map(({ field }) => field);

describe('multipart creates', () => {
  let app: FastifyInstance;
  let store: RecordingStore;
  let policy: RecordingPolicy;
  let url: string;

  beforeEach(async () => {
    store = new RecordingStore();
    policy = new RecordingPolicy();
    app = fastify();
    await app.register(multipart);
    const limits = { maxUploadBytes: 512 * KIB, maxJsonBytes: 64 * KIB, maxUploadFiles: 3 };
    const settings = { ...resolveHttpRoutes({}), ...limits, allowedUploadContentTypes: ['text/*', 'application/json'] };
    const uploads = new MultipartCreate(store, policy, settings);
    app.post('/', async (request, reply) => {
      try {
        return await uploads.read(request, reply, auth);
      } catch (error) {
        const { status, envelope } = toErrorResponse(error);
        return reply.status(status).send(envelope);
      }
    });
    url = await app.listen({ host: '127.0.0.1', port: 0 });
  });

  afterEach(() => app.close());

  async function post(parts: Part[], init: RequestInit = {}) {
    const form = new FormData();
    for (const [name, value, fileName] of parts) {
      if (typeof value === 'string') form.append(name, value);
      else form.append(name, value, fileName);
    }
    const response = await fetch(url, { method: 'POST', body: form, ...init });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  async function postRaw(lines: string[], boundary = 'x') {
    const headers = { 'content-type': `multipart/form-data${boundary && `; boundary=${boundary}`}` };
    const response = await fetch(url, { method: 'POST', headers, body: lines.join('\r\n') });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  const valid: Part[] = [
    ['clientRequestId', 'key'],
    ['taskType', 'import'],
  ];

  it('reads fields and files in any order', async () => {
    const { status, body } = await post([
      ['attachment', text('a,b'), 'first.csv'],
      ['input', '{"mode": "dry"}'],
      ['attachments', text('ü'.repeat(100_000)), '../second ä.csv'],
      ...valid,
      ['metadata', '{}'],
      ['attachment', text(''), 'empty.csv'],
    ]);
    expect(status).toBe(200);
    expect(body).toMatchObject({ clientRequestId: 'key', taskType: 'import', input: { mode: 'dry' }, metadata: {} });
    expect(body['attachments']).toMatchObject([
      { name: 'first.csv', position: 0, sizeBytes: 3, contentType: 'text/csv' },
      { name: 'second ä.csv', position: 1, sizeBytes: 200_000 },
      { name: 'empty.csv', position: 2, sizeBytes: 0 },
    ]);
  });

  it('hashes what the client sent', async () => {
    const content = 'x'.repeat(300 * KIB);
    const { body } = await post([...valid, ['attachment', text(content), 'big.csv']]);
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect(body['attachments']).toMatchObject([{ sha256, sizeBytes: 300 * KIB }]);
  });

  it('takes a JSON field that comes as a blob of its own', async () => {
    const input = new Blob(['{"a": 1}'], { type: 'application/json' });
    expect(await post([...valid, ['input', input, 'blob']])).toMatchObject({ status: 200, body: { input: { a: 1 } } });
  });

  it('tells the policy the name, the type and the fields so far, before it stores a byte', async () => {
    const { status, body } = await post([...valid, ['attachment', text('MZ'), 'C:\\tools\\x.exe']]);
    expect({ status, code: body['code'], received: store.received }).toEqual({
      status: 400,
      code: 'UPLOAD_VALIDATION_ERROR',
      received: 0,
    });
    const asked = { name: 'x.exe', contentType: 'text/csv', fields: { clientRequestId: 'key', taskType: 'import' } };
    expect(policy.asked).toEqual([asked]);
  });

  it.each<[string, Part[], number, string]>([
    [
      'a type that is not allowed',
      [['attachment', new Blob(['x'], { type: 'image/png' }), 'x.png']],
      400,
      'UPLOAD_VALIDATION_ERROR',
    ],
    ['a file under another name', [['document', text('x'), 'x.csv']], 400, 'UPLOAD_VALIDATION_ERROR'],
    ['a file without a usable name', [['attachment', text('x'), 'folder/..']], 400, 'UPLOAD_VALIDATION_ERROR'],
    ['text in the place of a file', [['attachment', 'x']], 400, 'UPLOAD_VALIDATION_ERROR'],
    [
      'more files than allowed',
      Array.from({ length: 4 }, (): Part => ['attachment', text('x'), 'x.csv']),
      400,
      'UPLOAD_VALIDATION_ERROR',
    ],
    [
      'files that are too large together',
      [
        ['attachment', text('x'.repeat(300 * KIB)), 'a.csv'],
        ['attachment', text('x'.repeat(300 * KIB)), 'b.csv'],
      ],
      413,
      'PAYLOAD_TOO_LARGE',
    ],
    ['a text field that is too large', [['input', `{"a": "${'x'.repeat(64 * KIB)}"}`]], 413, 'PAYLOAD_TOO_LARGE'],
    ['a body far over every limit', [['attachment', text('x'.repeat(3_000 * KIB)), 'a.csv']], 413, 'PAYLOAD_TOO_LARGE'],
  ])('refuses %s and keeps nothing', async (_what, parts, status, code) => {
    const kept: Part = ['attachment', text('kept?'), 'kept.csv'];
    const response = await post([kept, ...valid, ...parts]);
    expect({ status: response.status, code: response.body['code'] }).toEqual({ status, code });
    expect(store.staged.size).toBe(0);
  });

  it.each<[string, Part[], string[]]>([
    ['an unknown text field', [...valid, ['colour', 'red']], ['colour']],
    ['a field that comes twice', [...valid, ['taskType', 'again']], ['taskType']],
    ['input that is no JSON', [...valid, ['input', '{broken']], ['input']],
    ['metadata that is no object', [...valid, ['metadata', '[1]']], ['metadata']],
    ['missing fields', [['input', '{}']], ['clientRequestId', 'taskType']],
    ['a prototype as a field name', [...valid, ['__proto__', 'x']], ['__proto__']],
  ])('names the field of %s', async (_what, parts, names) => {
    const response = await post([['attachment', text('x'), 'x.csv'], ...parts]);
    expect(response).toMatchObject({ status: 422, body: { code: 'REQUEST_VALIDATION_ERROR' } });
    expect(fields(response)).toEqual(names);
    expect(store.staged.size).toBe(0);
  });

  it('lets the Idempotency-Key header stand in for the field', async () => {
    const response = await post([['taskType', 'import']], { headers: { 'idempotency-key': 'from-header' } });
    expect(response).toMatchObject({ status: 200, body: { clientRequestId: 'from-header' } });
  });

  it('ignores a file input that was left empty', async () => {
    const disposition = 'content-disposition: form-data; name=';
    const part = (name: string, value: string) => ['--x', `${disposition}"${name}"`, '', value];
    const empty = ['--x', `${disposition}"attachment"; filename=""`, 'content-type: application/octet-stream', '', ''];
    const response = await postRaw([...part('clientRequestId', 'k'), ...part('taskType', 't'), ...empty, '--x--', '']);
    expect(response).toMatchObject({ status: 200, body: { attachments: [] } });
  });

  it.each([
    ['has no boundary', ['--x--', ''], ''],
    [
      'ends in the middle of a file',
      ['--x', 'content-disposition: form-data; name="attachment"; filename="a.csv"', '', 'abc'],
      'x',
    ],
    ['ends in the middle of a field', ['--x', 'content-disposition: form-data; name="taskType"', '', 'abc'], 'x'],
    ['ends in the middle of a header', ['--x', 'content-dispo'], 'x'],
    ['never has its boundary', ['nothing', 'of', 'the', 'kind'], 'x'],
    ['is empty', [''], 'x'],
  ])('answers 400 to a form that %s', async (_what, lines, boundary) => {
    const response = await postRaw(lines, boundary);
    expect(response).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
    expect(store.staged.size).toBe(0);
  });

  it("answers with the store's failure and lets go of the client", async () => {
    store.failing = true;
    const response = await post([...valid, ['attachment', text('x'.repeat(400 * KIB)), 'a.csv']]);
    expect(response).toMatchObject({ status: 500, body: { code: 'INTERNAL_ERROR' } });
  });

  it('keeps nothing of a client that vanishes in the middle of a file', async () => {
    const { port } = app.server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 400000\r\n\r\n',
    );
    socket.write(`${file('a.csv')}whole\r\n${file('b.csv')}${'y'.repeat(100_000)}`);
    await eventually(() => store.received > 50_000);
    expect(store.staged.size).toBe(1);
    socket.destroy();
    await eventually(() => store.staged.size === 0);
  });

  it('stores large files without waiting for the whole form', async () => {
    const { port } = app.server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=x\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    const part = `--x\r\ncontent-disposition: form-data; name="attachment"; filename="a.csv"\r\n\r\n${'z'.repeat(200_000)}`;
    socket.write(`${part.length.toString(16)}\r\n${part}\r\n`);
    await eventually(() => store.received > 100_000);
    socket.destroy();
  });
});
