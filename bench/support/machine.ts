import { readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';

/** What the figures were measured on. */
export interface Machine {
  cpus: number;
  cpu: string;
  memoryGiB: number;
  node: string;
  postgres: string;
  packages: Record<string, string>;
  text: string;
}

const PACKAGES = ['@nestjs/core', 'fastify', 'pg', 'ws', 'typeorm', 'bullmq', 'ioredis'];

export async function machineOf(query: (text: string) => Promise<Record<string, string>[]>): Promise<Machine> {
  const [row] = await query('show server_version');
  const versions = await Promise.all(PACKAGES.map(async (name) => [name, await versionOf(name)] as const));
  const packages = Object.fromEntries(versions.filter(([, version]) => version !== ''));
  const machine = {
    cpus: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    postgres: row?.['server_version'] ?? 'unknown',
    packages,
  };
  const names = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  const server = `Node ${machine.node}, PostgreSQL ${machine.postgres}`;
  return {
    ...machine,
    text: [`${machine.cpus} × ${machine.cpu}, ${machine.memoryGiB} GiB`, server, ...names].join(', '),
  };
}

async function versionOf(name: string): Promise<string> {
  try {
    return String(JSON.parse(await readFile(`node_modules/${name}/package.json`, 'utf8')).version);
  } catch {
    return '';
  }
}

/** How many files, and so sockets, this process may have open. */
export async function openFilesLimit(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1_024);
}
