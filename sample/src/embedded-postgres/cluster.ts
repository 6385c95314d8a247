import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { ServerAccount } from './server-account.js';
import { findServerPrograms, type ServerPrograms } from './server-programs.js';

const LOGIN = ['--username=taskbridge', '--auth=scram-sha-256'];
const LOCALE = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];

/** One data folder of PostgreSQL and the programs that work on it. */
export class Cluster {
  private constructor(
    readonly folder: string,
    private readonly account: ServerAccount,
    private readonly programs: ServerPrograms,
    private readonly settings: readonly string[],
  ) {}

  /** Creates the files the first time. */
  static async open(folder: string, settings: readonly string[]): Promise<Cluster> {
    await mkdir(dirname(folder), { recursive: true });
    const programs = await findServerPrograms();
    const cluster = new Cluster(folder, await ServerAccount.choose(folder, programs.initdb), programs, settings);
    if (!(await cluster.exists())) await cluster.create();
    return cluster;
  }

  /** Starts a server on a free port of the loopback interface and waits until it has recovered and takes connections. */
  async startServer(): Promise<void> {
    await this.removeForeignPid();
    const own = [`port=${await freePort()}`, 'listen_addresses=127.0.0.1', "unix_socket_directories=''"];
    const settings = [...own, ...this.settings].map((setting) => `-c ${setting}`).join(' ');
    await this.account.run(this.programs.pg_ctl, ['start', '-w', ...this.data, '-l', this.logFile, '-o', settings]);
  }

  async stopServer(): Promise<void> {
    await this.account.run(this.programs.pg_ctl, ['stop', '-w', '-m', 'fast', ...this.data]);
  }

  /** For a process that is exiting. */
  stopServerBlocking(): void {
    this.account.runBlocking(this.programs.pg_ctl, ['stop', '-w', '-m', 'fast', ...this.data]);
  }

  /** Where a running server listens, as it wrote itself; a killed one leaves the same behind. */
  async url(): Promise<string | undefined> {
    const port = (await this.postmasterLines())[3];
    if (port === undefined) return undefined;
    const password = await readFile(join(this.folder, 'password'), 'utf8');
    return `postgres://taskbridge:${password}@127.0.0.1:${Number(port)}/postgres`;
  }

  get logFile(): string {
    return join(this.folder, 'server.log');
  }

  private get data(): string[] {
    return ['-D', this.folder];
  }

  private async exists(): Promise<boolean> {
    return (await stat(this.folder).catch(() => undefined)) !== undefined;
  }

  /** Made beside its place and moved there, so that nobody finds half of it. */
  private async create(): Promise<void> {
    const workshop = await mkdtemp(`${this.folder}-new-`);
    try {
      const [data, password] = [join(workshop, 'data'), join(workshop, 'password')];
      await writeFile(password, randomBytes(18).toString('base64url'), { mode: 0o600 });
      await this.account.own(workshop, password);
      await this.account.run(this.programs.initdb, ['-D', data, `--pwfile=${password}`, ...LOGIN, ...LOCALE]);
      await rename(password, join(data, 'password'));
      await this.moveIntoPlace(data);
    } finally {
      await rm(workshop, { recursive: true, force: true });
    }
  }

  private async moveIntoPlace(data: string): Promise<void> {
    try {
      await rename(data, this.folder);
    } catch (error) {
      // Another process was faster; its cluster is as good.
      if (!(await this.exists())) throw error;
    }
  }

  /** After a crash the number in the pid file may belong to some other program by now, for which the server would wait. */
  private async removeForeignPid(): Promise<void> {
    const pid = Number((await this.postmasterLines())[0]);
    if (!Number.isInteger(pid)) return;
    const program = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'postgres');
    if (program.trim() !== 'postgres') await rm(join(this.folder, 'postmaster.pid'), { force: true });
  }

  private async postmasterLines(): Promise<string[]> {
    const text = await readFile(join(this.folder, 'postmaster.pid'), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening, failed) => {
    server.once('error', failed).listen(0, '127.0.0.1', listening);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
