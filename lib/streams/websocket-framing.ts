const FIN_TEXT = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MAX_8 = 125;
const MAX_16 = 0xffff;

/**
 * Unmasked text frames of a server (RFC 6455, section 5.2). Framing here rather than in `ws` lets all followers of a
 * task share one buffer, and one write carry many events.
 */
export function textFrame(text: string): Buffer {
  const size = Buffer.byteLength(text);
  const target = Buffer.allocUnsafe(textFrameBytes(size));
  writeTextFrame(target, 0, text, size);
  return target;
}

/** Length of a text frame with its header. */
export function textFrameBytes(payloadBytes: number): number {
  return payloadBytes + headerBytes(payloadBytes);
}

/** Writes one frame at `offset` and returns the offset after it. */
export function writeTextFrame(target: Buffer, offset: number, text: string, payloadBytes: number): number {
  target[offset] = FIN_TEXT;
  if (payloadBytes <= MAX_8) {
    target[offset + 1] = payloadBytes;
  } else if (payloadBytes <= MAX_16) {
    target[offset + 1] = LENGTH_16;
    target.writeUInt16BE(payloadBytes, offset + 2);
  } else {
    target[offset + 1] = LENGTH_64;
    target.writeUInt16BE(0, offset + 2);
    target.writeUIntBE(payloadBytes, offset + 4, 6);
  }
  const start = offset + headerBytes(payloadBytes);
  return start + target.write(text, start);
}

function headerBytes(payloadBytes: number): number {
  if (payloadBytes <= MAX_8) return 2;
  return payloadBytes <= MAX_16 ? 4 : 10;
}
