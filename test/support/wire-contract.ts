import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The folder that holds the wire contract (schemas, examples, OpenAPI) as data: the one the environment names, else
 * `../shared/protocol` beside the checkout; `undefined` where there is none, and its tests do not run. A folder that
 * the environment names and that does not exist is an error, so that CI cannot skip them by mistake.
 */
export function wireContractDir(): string | undefined {
  const named = process.env.TASKBRIDGE_WIRE_CONTRACT;
  if (named) {
    if (!existsSync(named)) {
      throw new Error(`TASKBRIDGE_WIRE_CONTRACT names a folder that does not exist: ${named}`);
    }
    return named;
  }
  const beside = path.resolve(root, '..', 'shared', 'protocol');
  return existsSync(beside) ? beside : undefined;
}
