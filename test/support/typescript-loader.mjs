import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { register } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import path from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { transform } from '@swc/core';

// `node --import <this file> some.ts`: runs the repository's TypeScript in a process of its own, without a build.

const root = fileURLToPath(new URL('../../', import.meta.url));
const aliases = new Map([
  ['@taskbridge/protocol', 'packages/protocol/src/index.ts'],
  ['@taskbridge/client', 'packages/client/src/index.ts'],
  ['@taskbridge/client/node', 'packages/client/src/node/index.ts'],
  ['@taskbridge/local-store', 'packages/local-store/src/index.ts'],
  ['@taskbridge/nestjs', 'lib/index.ts'],
]);

/** @type {import('node:module').ResolveHook} */
export function resolve(specifier, context, next) {
  const alias = aliases.get(specifier);
  if (alias !== undefined) return next(pathToFileURL(path.join(root, alias)).href, context);
  if (/^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts')) {
    const source = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL);
    if (existsSync(source)) return next(source.href, context);
  }
  return next(specifier, context);
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context);
  const filename = fileURLToPath(url);
  const { code } = await transform(await readFile(filename, 'utf8'), {
    filename,
    swcrc: false,
    sourceMaps: 'inline',
    module: { type: 'es6' },
    jsc: {
      target: 'es2022',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    },
  });
  return { format: 'module', source: code, shortCircuit: true };
}

// The hooks run in a thread of their own, where this module is loaded a second time.
if (isMainThread) register(import.meta.url);
