import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { transformFileSync } from '@swc/core';

const PACKAGE = 'packages/local-store';

/** The package and its test programs as JavaScript, so that many processes start fast. */
export class CompiledPackage {
  private readonly folder: string;

  constructor() {
    mkdirSync('.data', { recursive: true });
    // Inside the repository, for its node_modules.
    this.folder = mkdtempSync(path.resolve('.data', 'local-store-'));
    writeFileSync(path.join(this.folder, 'package.json'), '{"type":"module"}');
    for (const part of ['src', 'src/sqlite', 'test/programs']) this.compile(part);
  }

  /** The path of one of `test/programs`. */
  program(name: string): string {
    return path.join(this.folder, 'test/programs', `${name}.js`);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  private compile(part: string): void {
    mkdirSync(path.join(this.folder, part), { recursive: true });
    for (const name of readdirSync(path.join(PACKAGE, part)).filter((file) => file.endsWith('.ts'))) {
      const { code } = transformFileSync(path.join(PACKAGE, part, name), {
        swcrc: false,
        module: { type: 'es6' },
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      });
      writeFileSync(path.join(this.folder, part, name.replace(/\.ts$/, '.js')), code);
    }
  }
}
