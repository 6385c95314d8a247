import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** A program that prints one line for each step, and can be killed at one of them. */
export class AnnouncingProcess {
  readonly lines: string[] = [];
  private readonly child: ChildProcess;
  private readonly closed: Promise<number | NodeJS.Signals | null>;
  private errors = '';

  constructor(
    program: string,
    args: readonly string[],
    private readonly onLine: (line: string, count: number) => void = () => undefined,
    ids: { uid?: number; gid?: number } = {},
  ) {
    this.child = spawn(process.execPath, ['--no-warnings', program, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...ids,
    });
    this.closed = once(this.child, 'close').then(
      ([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null,
    );
    this.child.stderr?.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    let rest = '';
    this.child.stdout?.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) this.take(line);
    });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  /** With all that it printed; a program that fails by itself is an error of the test. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    const end = await this.closed;
    if (end !== 0 && end !== 'SIGKILL') throw new Error(`The program ended with ${end}:\n${this.errors}`);
    return end;
  }

  private take(line: string): void {
    this.lines.push(line);
    this.onLine(line, this.lines.length);
  }
}
