import type { TaskAttempt } from './records.js';

/** Where a message stands: what its id says. */
export interface MessagePlace extends TaskAttempt {
  kind: 'output' | 'truncation' | 'final';
  /** Empty for a final. */
  stream: string;
  /** 0 for a final. */
  sequence: number;
  /** That of a truncation marker; else the sequence. */
  lastSequence: number;
}

/** `task/attempt/final`, `task/attempt/stream/7`, or `task/attempt/stream/3-6`, each part as in a URL. */
export function messageId(place: MessagePlace): string {
  const { taskId, executionAttemptId, kind, stream, sequence, lastSequence } = place;
  const ends = {
    final: ['final'],
    output: [stream, String(sequence)],
    truncation: [stream, `${sequence}-${lastSequence}`],
  };
  return [taskId, executionAttemptId, ...ends[kind]].map(encodeURIComponent).join('/');
}

/** Undefined for what `messageId` never makes. */
export function parseMessageId(id: string): MessagePlace | undefined {
  const parts = decodeParts(id);
  const [taskId, executionAttemptId, stream, numbers] = parts;
  if (taskId === undefined || executionAttemptId === undefined || stream === undefined) return undefined;
  const place = { taskId, executionAttemptId };
  if (parts.length === 3) {
    return stream === 'final' ? { ...place, kind: 'final', stream: '', sequence: 0, lastSequence: 0 } : undefined;
  }
  const [, first, last] = /^([1-9]\d*)(?:-([1-9]\d*))?$/.exec(numbers ?? '') ?? [];
  if (parts.length !== 4 || first === undefined) return undefined;
  const kind = last === undefined ? 'output' : 'truncation';
  return { ...place, kind, stream, sequence: Number(first), lastSequence: Number(last ?? first) };
}

function decodeParts(id: string): string[] {
  try {
    return id.split('/').map(decodeURIComponent);
  } catch {
    // Not an id of ours: no such message.
    return [];
  }
}
