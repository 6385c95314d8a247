import { build } from 'esbuild';
import path from 'node:path';

/** An ES module of the package as an application's bundler makes it: minified, with everything it imports. */
export async function bundle(
  entry: string,
  { platform = 'browser', external = [] }: { platform?: 'browser' | 'node'; external?: string[] } = {},
): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [path.resolve(entry)],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform,
    external,
    tsconfig: path.resolve('tsconfig.json'),
    define: { 'process.env.NODE_ENV': '"development"' },
    write: false,
    logLevel: 'silent',
  });
  return outputFiles[0].contents;
}
