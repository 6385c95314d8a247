import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Controller, Get, Header } from '@nestjs/common';
import { build } from 'esbuild';

const FOLDER = path.resolve('sample/page');

/** A page that starts tasks and follows them, made of `@taskbridge/client` and its React hook; a host has its own build. */
@Controller('page')
export class PageController {
  private script: Promise<string> | undefined;

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  page(): Promise<string> {
    return readFile(path.join(FOLDER, 'index.html'), 'utf8');
  }

  @Get('app.js')
  @Header('content-type', 'text/javascript; charset=utf-8')
  app(): Promise<string> {
    this.script ??= bundle();
    return this.script;
  }
}

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [path.join(FOLDER, 'app.ts')],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    define: { 'process.env.NODE_ENV': '"production"' },
    write: false,
    logLevel: 'silent',
  });
  return outputFiles[0].text;
}
