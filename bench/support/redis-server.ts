import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchContext } from './bench.js';

const TRIES = 200;

/** The system's Redis on a port of its own, nothing stored on disk; `undefined` where it is not installed. */
export async function openRedis(context: BenchContext): Promise<{ host: string; port: number } | undefined> {
  const port = await freePort();
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  });
  const failed = once(child, 'error').catch(() => undefined);
  const started = await Promise.race([failed.then(() => false), answers(port)]);
  if (!started) return undefined;
  context.defer(async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  });
  return { host: '127.0.0.1', port };
}

async function answers(port: number): Promise<boolean> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return true;
    await sleep(25);
  }
  return false;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
