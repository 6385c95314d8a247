/** A version 4 UUID, also where `crypto.randomUUID` is missing: pages without TLS, and React Native. */
export function randomId(): string {
  const bytes = Array.from({ length: 16 }, () => Math.floor(Math.random() * 256));
  const random = globalThis.crypto?.getRandomValues?.(new Uint8Array(16)) ?? bytes;
  const hex = Array.from(random, (byte, index) => {
    const value = index === 6 ? (byte & 0x0f) | 0x40 : index === 8 ? (byte & 0x3f) | 0x80 : byte;
    return value.toString(16).padStart(2, '0');
  }).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
