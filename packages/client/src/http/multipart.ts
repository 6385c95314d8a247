import type { JsonObject } from '@taskbridge/protocol';

/** A file to send with a create. */
export interface TaskAttachment {
  name: string;
  /** A stream is read to its end first, so that the request can be repeated. */
  data: Blob | ReadableStream<Uint8Array> | ArrayBuffer | Uint8Array | string;
  /** @default the blob's own, or `application/octet-stream` */
  contentType?: string;
}

/** The body of a create with files. */
export async function multipartBody(
  fields: { clientRequestId: string; taskType: string; input?: JsonObject; metadata?: JsonObject },
  attachments: readonly TaskAttachment[],
): Promise<FormData> {
  const form = new FormData();
  form.set('clientRequestId', fields.clientRequestId);
  form.set('taskType', fields.taskType);
  if (fields.input) form.set('input', JSON.stringify(fields.input));
  if (fields.metadata) form.set('metadata', JSON.stringify(fields.metadata));
  for (const attachment of attachments) form.append('attachment', await blobOf(attachment), attachment.name);
  return form;
}

async function blobOf({ data, contentType }: TaskAttachment): Promise<Blob> {
  if (isBlob(data) && (contentType === undefined || contentType === data.type)) return data;
  const content = isStream(data) ? await new Response(data).blob() : (data as string);
  return new Blob([content], { type: contentType ?? 'application/octet-stream' });
}

function isBlob(data: TaskAttachment['data']): data is Blob {
  return data instanceof Blob;
}

function isStream(data: TaskAttachment['data']): data is ReadableStream<Uint8Array> {
  return typeof (data as Partial<ReadableStream>).getReader === 'function';
}
