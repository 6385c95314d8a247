import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

export interface Ending {
  code: number;
  stdout: string;
  stderr: string;
}

const runFile = promisify(execFile);
const compiler = path.resolve('node_modules/typescript-7/bin/tsc');

/** The command as it is published, built from the sources of now into a folder of its own. */
export class BuiltCli {
  private constructor(
    private readonly folder: string,
    /** What npm links as `taskbridge`. */
    readonly bin: string,
    /** The module that it loads. */
    readonly main: string,
  ) {}

  static async build(): Promise<BuiltCli> {
    await mkdir('.data', { recursive: true });
    const folder = await mkdtemp(path.resolve('.data', 'cli-'));
    await Promise.all(
      ['protocol', 'client'].map((name) => build(name, path.join(folder, 'node_modules/@taskbridge', name))),
    );
    const cli = path.join(folder, 'cli');
    await build('cli', cli);
    await cp('packages/cli/bin', path.join(cli, 'bin'), { recursive: true });
    const own = path.resolve('packages/cli/node_modules');
    await symlink(own, path.join(cli, 'node_modules'));
    // What a shell finds as `taskbridge`.
    const bin = path.join(cli, 'bin/taskbridge.mjs');
    await mkdir(path.join(folder, 'path'));
    await writeFile(path.join(folder, 'path/taskbridge'), `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`, {
      mode: 0o755,
    });
    return new BuiltCli(folder, bin, path.join(cli, 'dist/packages/cli/src/main.js'));
  }

  /** For `PATH`. */
  get shellPath(): string {
    return `${path.join(this.folder, 'path')}:${process.env.PATH ?? ''}`;
  }

  /** A folder that goes with the build. */
  newFolder(name: string): string {
    return path.join(this.folder, name);
  }

  /** Runs it as a process of its own, with this environment only. */
  run(args: readonly string[], env: Record<string, string> = {}): Promise<Ending> {
    return this.execute(process.execPath, [this.bin, ...args], env);
  }

  /** Runs a script that may use `taskbridge`. */
  shell(script: string, env: Record<string, string> = {}): Promise<Ending> {
    return this.execute('/bin/sh', ['-c', script], { ...env, PATH: this.shellPath });
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true });
  }

  private async execute(file: string, args: string[], env: Record<string, string>): Promise<Ending> {
    try {
      const { stdout, stderr } = await runFile(file, args, { env, cwd: this.folder });
      return { code: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as Ending;
      return { code, stdout, stderr };
    }
  }
}

/** Unchecked, because the checks of the whole repository include this. */
async function build(name: string, folder: string): Promise<void> {
  const source = path.resolve('packages', name);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'package.json'), await readFile(path.join(source, 'package.json')));
  await runFile(process.execPath, [compiler, '-p', source, '--noCheck', '--outDir', path.join(folder, 'dist')]);
}
