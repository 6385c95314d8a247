import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

// As a program sees the package that has no types of Node, and checks the declarations of what it imports.
const CONSUMER = `
import { openDefault, recoverLocalTaskStore, type OutboxMessage } from '@taskbridge/local-store';
const store = openDefault({}, { TASKBRIDGE_STATE_PATH: '/var/lib/worker' });
const ids: string[] = [...store.unackedMessages()].map((message: OutboxMessage) => message.messageId);
const recovery = recoverLocalTaskStore({ env: { TASKBRIDGE_STATE_PATH: ids.join('') } });
export const ready = recovery.whenReady();
`;
const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  types: [],
  lib: ['es2022'],
  target: 'es2022',
  module: 'nodenext',
  noEmit: true,
};

describe('the declarations of the package', () => {
  it('need no types of Node', () => {
    mkdirSync('.data', { recursive: true });
    const folder = mkdtempSync(path.resolve('.data', 'local-store-types-'));
    try {
      const installed = path.join(folder, 'node_modules/@taskbridge/local-store');
      compile('-p', 'packages/local-store/tsconfig.json', '--emitDeclarationOnly', '--outDir', `${installed}/dist`);
      const types = { name: '@taskbridge/local-store', type: 'module', types: './dist/index.d.ts' };
      writeFileSync(path.join(installed, 'package.json'), JSON.stringify(types));
      writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
      writeFileSync(path.join(folder, 'consumer.ts'), CONSUMER);
      const config = { compilerOptions: STRICT, files: ['consumer.ts'] };
      writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
      expect(compile('-p', folder)).toBe('');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** What the compiler complains of. */
function compile(...args: string[]): string {
  try {
    return execFileSync(process.execPath, ['node_modules/typescript-7/bin/tsc', ...args], { encoding: 'utf8' });
  } catch (error) {
    return String((error as { stdout: unknown }).stdout);
  }
}
