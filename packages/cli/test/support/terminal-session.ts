import { type ChildProcess, spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { eventually } from '../../../../test/support/eventually.js';

export const KEYS = { enter: '\r', down: '\u001B[B', backspace: '\u007F', ctrlC: '\u0003' } as const;

/** A command at a pseudo-terminal, made by `script` of util-linux, and the person who looks and types. */
export class TerminalSession {
  private readonly child: ChildProcess;
  private received = '';
  code: number | undefined;

  constructor(command: string, env: Record<string, string>, size = 'cols 100 rows 40') {
    const sized = `stty ${size}; exec ${command}`;
    this.child = spawn('script', ['--quiet', '--flush', '--return', '--command', sized, '/dev/null'], {
      env: { ...env, TERM: 'xterm-256color' },
      stdio: 'pipe',
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.received += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.received += text));
    this.child.once('exit', (code) => (this.code = code ?? -1));
  }

  /** Everything that was ever on the screen, without colours and movements. */
  get text(): string {
    return stripVTControlCharacters(this.received).replaceAll('\r', '');
  }

  /** The last word on it. */
  get isCursorShown(): boolean {
    return this.received.lastIndexOf('\u001B[?25h') > this.received.lastIndexOf('\u001B[?25l');
  }

  /** Resolves once this has been on the screen. */
  async shows(wanted: string | RegExp): Promise<void> {
    await eventually(() => this.text.search(typeof wanted === 'string' ? escaped(wanted) : wanted) >= 0, 30_000).catch(
      () => {
        throw new Error(`Not on the screen: ${String(wanted)}\n${this.text}`);
      },
    );
  }

  press(...keys: string[]): void {
    for (const key of keys) this.child.stdin?.write(key);
  }

  async exit(): Promise<number> {
    await eventually(() => this.code !== undefined, 30_000).catch(() => {
      throw new Error(`Still running:\n${this.text}`);
    });
    return this.code ?? -1;
  }

  /** Ends what has not ended by itself. */
  end(): void {
    if (this.code === undefined) this.child.kill('SIGKILL');
  }
}

function escaped(text: string): RegExp {
  return new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
}
