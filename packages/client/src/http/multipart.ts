/** A file to send with a create. */
export interface TaskAttachment {
  name: string;
  /** A stream, in Node also one of Node's, is read to its end first, so that the request can be repeated. */
  data: Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | ArrayBuffer | Uint8Array | string;
  /** @default the blob's own, or `application/octet-stream` */
  contentType?: string | undefined;
}

/** The body of a create with files; its fields are texts, or objects that go as JSON. */
export async function multipartBody(fields: object, attachments: readonly TaskAttachment[]): Promise<FormData> {
  const form = new FormData();
  for (const [name, value] of Object.entries<unknown>({ ...fields })) {
    if (value) form.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  for (const attachment of attachments) form.append('attachment', await blobOf(attachment), attachment.name);
  return form;
}

async function blobOf({ name, data, contentType }: TaskAttachment): Promise<Blob> {
  const source = Object(data) as Partial<ReadableStream & Blob>;
  // It would become the text "[object Object]".
  if (source.constructor === Object) throw new TypeError(`The attachment ${name} has no data`);
  const isStream = source.getReader || Symbol.asyncIterator in source;
  const content = isStream ? await new Response(data as ReadableStream).blob() : (data as Blob | string);
  return new Blob([content], { type: contentType ?? (source.type || 'application/octet-stream') });
}
