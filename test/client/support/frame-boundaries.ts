import type { Kind } from './torture-client.js';

/** Where in an answer, its head included, one frame ends and the next one begins. */
export function frameBoundaries(kind: Kind, answer: Buffer): number[] {
  const head = answer.indexOf('\r\n\r\n') + 4;
  if (kind === 'websocket') return [head, ...webSocketFrames(answer, head)];
  const separator = kind === 'sse' ? '\n\n' : '},{"type"';
  return [head, ...positionsAfter(answer, separator, head)];
}

function positionsAfter(answer: Buffer, separator: string, from: number): number[] {
  const positions: number[] = [];
  for (let at = answer.indexOf(separator, from); at !== -1; at = answer.indexOf(separator, at + 1)) {
    positions.push(at + separator.length);
  }
  return positions;
}

/** Servers do not mask, and none of these frames is longer than 64 KiB. */
function webSocketFrames(answer: Buffer, head: number): number[] {
  const ends: number[] = [];
  for (let at = head; at + 4 <= answer.length;) {
    const short = answer.readUInt8(at + 1) & 0x7f;
    at += short === 126 ? 4 + answer.readUInt16BE(at + 2) : 2 + short;
    ends.push(at);
  }
  return ends;
}
