import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

interface Link {
  client: Socket;
  server: Socket;
  /** Bytes of it were thrown away: it makes no sense any more. */
  damaged: boolean;
  abandoned: boolean;
}

/** The network between one instance and the database; a TCP proxy on loopback that tests disturb. */
export class FaultProxy {
  /** Added to every byte on its way, in either direction, in ms. */
  delayMs = 0;
  /** The next connection that says this gets no answer any more, and nobody is told. */
  muteAt: string | undefined;
  private readonly links = new Set<Link>();
  private refusing = false;
  private swallowing = false;
  private thawed: Promise<void> = Promise.resolve();
  private thaw: () => void = () => undefined;

  private constructor(
    private readonly server: Server,
    private readonly targetPort: () => number,
  ) {
    server.on('connection', (client) => this.accept(client));
  }

  /** `targetPort` is asked for each connection: a server that was started again has another one. */
  static async open(targetPort: () => number): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server, targetPort);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Resets every connection and refuses new ones for a time. */
  async cut(forMs: number): Promise<void> {
    this.refusing = true;
    this.reset();
    await sleep(forMs);
    this.refusing = false;
  }

  /** Nothing passes for a time, and nobody is told; then everything does, or the connections are reset. */
  async freeze(forMs: number, then: 'thaw' | 'reset'): Promise<void> {
    this.thawed = new Promise((resolve) => {
      this.thaw = resolve;
    });
    await sleep(forMs);
    if (then === 'reset') this.reset();
    this.thaw();
  }

  /** The database does what it is asked and its answers are lost, until the connections are reset. */
  async loseReplies(forMs: number): Promise<void> {
    this.swallowing = true;
    await sleep(forMs);
    this.swallowing = false;
    this.reset((link) => link.damaged);
  }

  /** The connections there are say and hear nothing any more, for good, and nobody is told; new ones work. */
  abandon(): void {
    for (const link of this.links) link.abandoned = true;
  }

  async close(): Promise<void> {
    this.thaw();
    for (const { client, server } of this.links) {
      client.destroy();
      server.destroy();
    }
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private reset(which: (link: Link) => boolean = () => true): void {
    for (const link of this.links) {
      if (!which(link)) continue;
      link.client.resetAndDestroy();
      link.server.resetAndDestroy();
    }
  }

  private accept(client: Socket): void {
    if (this.refusing) {
      client.on('error', () => undefined).resetAndDestroy();
      return;
    }
    const server = connect(this.targetPort(), '127.0.0.1');
    const link: Link = { client, server, damaged: false, abandoned: false };
    this.links.add(link);
    this.forward(client, server, (chunk) => {
      if (link.abandoned) return false;
      if (this.muteAt === undefined || !chunk.includes(this.muteAt)) return true;
      this.muteAt = undefined;
      link.damaged = true;
      return false;
    });
    this.forward(server, client, () => {
      link.damaged ||= this.swallowing;
      return !link.damaged && !link.abandoned;
    });
    client.on('close', () => this.links.delete(link));
  }

  private forward(from: Socket, to: Socket, passes: (chunk: Buffer) => boolean): void {
    let before: Promise<void> = Promise.resolve();
    const later = (work: () => void): void => {
      const dueAt = performance.now() + this.delayMs;
      before = before.then(() => this.until(dueAt)).then(work);
    };
    from.on('data', (chunk) => passes(chunk) && later(() => void to.write(chunk)));
    from.on('error', () => undefined);
    from.on('close', () => later(() => void to.destroy()));
  }

  private async until(dueAt: number): Promise<void> {
    const waitMs = dueAt - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    await this.thawed;
  }
}
