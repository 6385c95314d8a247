/** A version 4 UUID, also where `crypto.randomUUID` is missing: pages without TLS, and React Native. */
export function randomId(): string {
  return 'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx'.replace(/[xy]/g, (place) => {
    const [value = Math.random() * 256] = globalThis.crypto?.getRandomValues?.(new Uint8Array(1)) ?? [];
    return (place === 'x' ? value & 15 : (value & 3) | 8).toString(16);
  });
}
