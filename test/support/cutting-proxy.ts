import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/** A TCP proxy on loopback whose connections a test can cut in mid-stream. */
export interface CuttingProxy {
  url: string;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Resets every open connection. */
  cut(): void;
  /** The same, and refuses new ones until `accept`. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
  close(): Promise<void>;
}

/** Forwards to `target`; with `cutAfterBytes` each connection is reset once the server has sent that much, `cuts` times. */
export async function startCuttingProxy(
  target: string,
  limits: { cutAfterBytes?: number; cuts?: number } = {},
): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let accepted = 0;
  let cutsLeft = limits.cuts ?? Number.POSITIVE_INFINITY;
  const server = createServer((client) => {
    accepted += 1;
    const upstream = connect(Number(port), hostname);
    let sent = 0;
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on('data', (chunk) => {
      sent += chunk.length;
      client.write(chunk);
      if (limits.cutAfterBytes === undefined || sent < limits.cutAfterBytes || cutsLeft <= 0) return;
      cutsLeft -= 1;
      client.resetAndDestroy();
    });
    upstream.on('end', () => client.end());
  });
  const listen = (atPort: number): Promise<void> =>
    new Promise((resolve) => server.listen(atPort, '127.0.0.1', () => resolve()));
  const unlisten = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  await listen(0);
  const ownPort = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${ownPort}`,
    get accepted() {
      return accepted;
    },
    cut: () => {
      for (const socket of open) socket.resetAndDestroy();
    },
    refuse: () => {
      for (const socket of open) socket.resetAndDestroy();
      return unlisten();
    },
    accept: () => listen(ownPort),
    close: () => {
      for (const socket of open) socket.destroy();
      return unlisten();
    },
  };
}
