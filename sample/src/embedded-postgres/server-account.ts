import { execFile, spawnSync } from 'node:child_process';
import { chown, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

interface Account {
  uid: number;
  gid: number;
}

interface ProgramOptions extends Partial<Account> {
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/** Runs PostgreSQL's programs as somebody whom they accept: they refuse to run as root. */
export class ServerAccount {
  private constructor(
    /** Undefined where the current user runs the server. */
    private readonly account: Account | undefined,
    /** Put before each command instead of switching the user directly. */
    private readonly prefix: readonly string[] = [],
  ) {}

  /** An existing cluster is run by its owner; a new one of root's by `postgres` or else `nobody`. */
  static async choose(cluster: string, programs: string): Promise<ServerAccount> {
    const owner = await stat(cluster).catch(() => undefined);
    const self = process.getuid?.();
    if (self !== 0) {
      if (owner !== undefined && owner.uid !== self && self !== undefined) throw belongsToAnother(cluster, owner.uid);
      return new ServerAccount(undefined);
    }
    const account = owner !== undefined && owner.uid !== 0 ? owner : systemAccount();
    const mayEnter = (await canReach(programs, account)) && (await canReach(cluster, account));
    return new ServerAccount(account, mayEnter ? [] : enteringAnyFolder(account));
  }

  async own(...paths: string[]): Promise<void> {
    if (this.account === undefined) return;
    for (const path of paths) await chown(path, this.account.uid, this.account.gid);
  }

  /** Resolves when the program has succeeded; rejects with what it printed. It does not outlive this process. */
  async run(program: string, args: readonly string[]): Promise<void> {
    const [file, rest, options] = this.command(program, args);
    const running = execute(file, rest, options);
    const endAtExit = (): unknown => running.child.kill();
    process.once('exit', endAtExit);
    try {
      await running;
    } catch (error) {
      throw new Error(outputOf(error), { cause: error });
    } finally {
      process.off('exit', endAtExit);
    }
  }

  /** For a process that is exiting: blocks until the program has ended, whatever its outcome. */
  runBlocking(program: string, args: readonly string[]): void {
    const [file, rest, options] = this.command(program, args);
    spawnSync(file, rest, { ...options, stdio: 'ignore', timeout: 15_000 });
  }

  private command(program: string, args: readonly string[]): [string, string[], ProgramOptions] {
    const [file = program, ...rest] = [...this.prefix, program, ...args];
    const user = this.prefix.length === 0 && this.account ? { uid: this.account.uid, gid: this.account.gid } : {};
    return [file, rest, { ...user, cwd: '/', env: { ...process.env, LC_ALL: 'C' } }];
  }
}

function belongsToAnother(cluster: string, uid: number): Error {
  return new Error(
    `${cluster} belongs to another user (uid ${uid}). Remove it, start as that user, or set DATABASE_URL.`,
  );
}

function systemAccount(): Account {
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = [idOf('-u', name), idOf('-g', name)];
    if (uid > 0 && gid > 0) return { uid, gid };
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody. Set DATABASE_URL.');
}

function idOf(flag: string, name: string): number {
  const { status, stdout } = spawnSync('id', [flag, name], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) : Number.NaN;
}

/** Whether every folder above the path may be entered; a checkout in `/root` usually may not. */
async function canReach(path: string, account: Account): Promise<boolean> {
  const folder = dirname(path);
  const { mode, uid, gid } = await stat(folder);
  const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
  if ((mode & bit) === 0) return false;
  return folder === dirname(folder) || canReach(folder, account);
}

/**
 * Linux: the server keeps the one capability that lets it through root's private folders, and the security bit without
 * which its own `access` checks would not see the capability.
 */
function enteringAnyFolder({ uid, gid }: Account): string[] {
  const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const capability = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--securebits=+no_setuid_fixup'];
  const rest = [...user, ...capability, '--'];
  if (spawnSync('setpriv', [...rest, 'true']).status === 0) return ['setpriv', ...rest];
  throw new Error(
    'PostgreSQL does not run as root, and no other user may enter this folder. Move the checkout or set DATABASE_URL.',
  );
}

function outputOf(error: unknown): string {
  const { stderr = '', stdout = '', message = '' } = error as { stderr?: string; stdout?: string; message?: string };
  return `${stderr}${stdout}`.trim() || message;
}
