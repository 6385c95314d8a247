import { writeSync } from 'node:fs';
import { LocalStoreError, openLocalTaskStore } from '../../src/index.js';

// Opens a store and holds it until its standard input ends; prints what happened.

const [file = ''] = process.argv.slice(2);
try {
  const store = openLocalTaskStore({ path: file, busyTimeoutMs: 200 });
  writeSync(1, 'open\n');
  process.stdin.on('end', () => store.close()).resume();
} catch (error) {
  if (!(error instanceof LocalStoreError)) throw error;
  writeSync(1, `${error.code} ${error.message}\n`);
}
