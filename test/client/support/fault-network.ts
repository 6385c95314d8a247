import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A request on its way through the network, by what the client wants of it. */
export interface PassingRequest {
  kind: 'websocket' | 'sse' | 'poll' | 'command';
  path: string;
  head: string;
  /** How many requests of this kind came before it. */
  index: number;
}

/** What happens to the answer of a request. */
export type Treatment =
  | { type: 'pass' }
  /** The connection is reset after so many bytes of the answer; 0: before any. */
  | { type: 'cut'; bytes: number }
  /** After so many bytes nothing passes any more, and nobody is told. */
  | { type: 'freeze'; bytes: number }
  /** The network answers instead of an instance, and closes. */
  | { type: 'answer'; status: number; headers?: Record<string, string>; body?: string }
  /** The answer is kept until it is complete. */
  | { type: 'hold' }
  /** Each SSE message comes twice. */
  | { type: 'twice' };

export const PASS: Treatment = { type: 'pass' };

const NOTHING = Buffer.alloc(0);

/** A TCP proxy on loopback in front of several instances, taken in turn, that treats each request as a test says. */
export class FaultNetwork {
  treat: (request: PassingRequest) => Treatment = () => PASS;
  /** Addresses of the instances; those that are gone may be replaced. */
  targets: string[];
  /** Bytes of the latest answer of each kind, as they came from the instance. */
  readonly answers: Record<PassingRequest['kind'], Buffer> = {
    websocket: NOTHING,
    sse: NOTHING,
    poll: NOTHING,
    command: NOTHING,
  };
  readonly requests: PassingRequest[] = [];
  private readonly open = new Set<Socket>();
  private readonly links = new Set<Link>();
  private connections = 0;

  private constructor(
    private readonly server: Server,
    targets: readonly string[],
  ) {
    this.targets = [...targets];
    server.on('connection', (client) => this.accept(client));
  }

  static async start(targets: readonly string[]): Promise<FaultNetwork> {
    const server = createServer();
    const network = new FaultNetwork(server, targets);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    return network;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Forgets what was, and lets everything pass. */
  reset(): void {
    this.cut();
    this.requests.length = 0;
    this.treat = () => PASS;
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.open) resetSocket(socket);
  }

  /** Whose latest request is of this kind. */
  openConnections(kind: PassingRequest['kind']): number {
    return [...this.links].filter((link) => link.kind === kind).length;
  }

  close(): Promise<void> {
    this.cut();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private accept(client: Socket): void {
    const { hostname, port } = new URL(this.targets[this.connections++ % this.targets.length]);
    const link = new Link(client, connect(Number(port), hostname), this);
    for (const socket of [client, link.instance]) {
      this.open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.open.delete(socket);
        this.links.delete(link);
        client.destroy();
        link.instance.destroy();
      });
    }
    this.links.add(link);
    link.run();
  }
}

/** One connection. Clients do not pipeline, so a request begins where a piece of data does. */
class Link {
  kind: PassingRequest['kind'] | undefined;
  private treatment: Treatment = PASS;
  private answered: Buffer[] = [];
  private bytes = 0;
  private isFrozen = false;

  constructor(
    private readonly client: Socket,
    readonly instance: Socket,
    private readonly network: FaultNetwork,
  ) {}

  run(): void {
    this.client.on('data', (data) => this.ask(data));
    this.instance.on('data', (data) => this.answer(data));
    this.client.on('end', () => !this.isFrozen && this.instance.end());
    this.instance.on('end', () => !this.isFrozen && this.client.end(this.kept()));
  }

  private ask(data: Buffer): void {
    const head = data.toString('latin1');
    const path = /^(?:GET|POST) (\S+) HTTP/.exec(head)?.[1];
    if (path !== undefined) this.begin({ kind: kindOf(path, head), path, head });
    const { treatment } = this;
    if (treatment.type === 'answer') this.client.end(answerText(treatment));
    else if (treatment.type === 'cut' && treatment.bytes === 0) resetSocket(this.client);
    else if (!this.isFrozen) this.instance.write(data);
  }

  private begin(request: Omit<PassingRequest, 'index'>): void {
    const { requests } = this.network;
    const index = requests.filter(({ kind }) => kind === request.kind).length;
    requests.push({ ...request, index });
    this.kind = request.kind;
    this.answered = [];
    this.bytes = 0;
    this.treatment = this.network.treat({ ...request, index });
    this.isFrozen = this.treatment.type === 'freeze' && this.treatment.bytes === 0;
  }

  private answer(data: Buffer): void {
    this.answered.push(data);
    if (this.kind) this.network.answers[this.kind] = Buffer.concat(this.answered);
    const { treatment } = this;
    if (this.isFrozen || treatment.type === 'hold') return;
    if (treatment.type === 'twice') this.client.write(doubled(data));
    else if (treatment.type === 'cut' || treatment.type === 'freeze') this.limit(data, treatment);
    else this.client.write(data);
  }

  private limit(data: Buffer, { type, bytes }: { type: 'cut' | 'freeze'; bytes: number }): void {
    const rest = bytes - this.bytes;
    this.bytes += data.length;
    if (data.length < rest) {
      this.client.write(data);
      return;
    }
    this.isFrozen = true;
    // What was written has to leave before the reset, which would throw it away.
    this.client.write(data.subarray(0, rest), () => type === 'cut' && resetSocket(this.client));
  }

  private kept(): Buffer {
    return this.treatment.type === 'hold' ? Buffer.concat(this.answered) : NOTHING;
  }
}

/** A reset after a FIN would leave the handle open for ever. */
function resetSocket(socket: Socket): void {
  if (socket.writableEnded || socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}

function kindOf(path: string, head: string): PassingRequest['kind'] {
  if (/^upgrade: websocket/im.test(head)) return 'websocket';
  if (/\/events\/stream/.test(path)) return 'sse';
  return /\/events\?/.test(path) ? 'poll' : 'command';
}

function answerText({ status, headers = {}, body = '' }: Extract<Treatment, { type: 'answer' }>): string {
  const all = { 'content-length': String(Buffer.byteLength(body)), connection: 'close', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Fault\r\n${lines.join('')}\r\n${body}`;
}

/** As long as the instance writes whole messages at a time. */
function doubled(data: Buffer): string {
  return data.toString().replaceAll(/^id: .*\n(?:.+\n)*\n/gm, '$&$&');
}
