/** A file to send with a create. */
export interface TaskAttachment {
  name: string;
  /** A stream is read to its end first, so that the request can be repeated. */
  data: Blob | ReadableStream<Uint8Array> | ArrayBuffer | Uint8Array | string;
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

async function blobOf({ data, contentType }: TaskAttachment): Promise<Blob> {
  const content = isStream(data) ? await new Response(data).blob() : (data as Blob | string);
  return new Blob([content], { type: contentType ?? ((data as Partial<Blob>).type || 'application/octet-stream') });
}

function isStream(data: TaskAttachment['data']): data is ReadableStream<Uint8Array> {
  return typeof (data as Partial<ReadableStream>).getReader === 'function';
}
