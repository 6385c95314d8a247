/** A version 4 UUID, also where `crypto.randomUUID` is missing: pages without TLS, and React Native. */
export function randomId(): string {
  return '00000000-0000-4000-8000-000000000000'.replace(/[08]/g, (place) => {
    const [value = Math.random() * 256] = globalThis.crypto?.getRandomValues?.(new Uint8Array(1)) ?? [];
    return (place === '0' ? value & 15 : (value & 3) | 8).toString(16);
  });
}
