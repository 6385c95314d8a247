/**
 * Calls `work` and rejects when it has not settled within `timeoutMs`. The call itself goes on; its late outcome is
 * dropped, so only idempotent work may be called again.
 */
export async function callWithTimeout<T>(work: () => Promise<T> | T, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not settle within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([Promise.resolve().then(work), expiry]);
  } finally {
    clearTimeout(timer);
  }
}
