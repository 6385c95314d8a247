import { readFileSync } from 'node:fs';

/**
 * How large a file of this process may become (`ulimit -f`). Asked for anew each time: it can be changed from outside.
 * Only Linux tells it; elsewhere it counts as infinite.
 */
export function fileSizeLimit(): number {
  if (process.platform !== 'linux') return Number.POSITIVE_INFINITY;
  const [, bytes] = /^Max file size +(\d+)/m.exec(processLimits()) ?? [];
  return bytes === undefined ? Number.POSITIVE_INFINITY : Number(bytes);
}

function processLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    // Where `/proc` is not mounted nobody tells.
    return '';
  }
}
