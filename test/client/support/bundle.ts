import { build } from 'esbuild';
import path from 'node:path';

/** The package as an application's bundler makes it: minified, with everything it imports. */
export async function bundle(
  entry: string,
  {
    platform = 'browser',
    format = 'esm',
    external = [],
  }: { platform?: 'browser' | 'node'; format?: 'esm' | 'cjs'; external?: string[] } = {},
): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [path.resolve(entry)],
    bundle: true,
    minify: true,
    format,
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
