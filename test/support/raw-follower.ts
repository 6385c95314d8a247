import { connect, type Socket } from 'node:net';

/** Of events; a heartbeat repeats the cursor. */
const EVENT_ID = /"type":"TASK_\w+","taskId":"[^"]+","eventId":"(\d+)-0"/g;
const CLOSE_1000 = Buffer.from([0x03, 0xe8]);

/**
 * A follower as cheap as a socket can be: it only checks that event ids count up from 1. Many of them fit one process
 * beside the server they load.
 */
export class RawFollower {
  seq = 0;
  /** The first id that was not the one after its predecessor. */
  outOfOrder: number | undefined;
  isOpen = false;
  isClosed = false;
  /** The stream ended the way its transport ends a finished task. */
  endedWell = false;
  private carry = '';
  private readonly socket: Socket;

  private constructor(
    origin: string,
    head: readonly string[],
    private readonly kind: 'sse' | 'websocket',
    private readonly subscribe: Buffer | undefined,
  ) {
    const { hostname, port } = new URL(origin);
    this.socket = connect(Number(port), hostname, () => this.socket.write(`${head.join('\r\n')}\r\n\r\n`));
    this.socket.on('data', (data) => this.read(data));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => this.closed());
  }

  static sse(origin: string, taskId: string): RawFollower {
    const head = [`GET /api/v1/tasks/${taskId}/events/stream HTTP/1.1`, 'Host: x', 'Authorization: Bearer ada'];
    return new RawFollower(origin, head, 'sse', undefined);
  }

  static webSocket(origin: string, taskId: string): RawFollower {
    const head = [
      'GET /api/v1/tasks/ws HTTP/1.1',
      'Host: x',
      'Authorization: Bearer ada',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ];
    return new RawFollower(origin, head, 'websocket', maskedTextFrame(JSON.stringify({ action: 'subscribe', taskId })));
  }

  destroy(): void {
    this.socket.destroy();
  }

  private read(data: Buffer): void {
    if (!this.isOpen) this.open();
    const text = this.carry + data.toString('latin1');
    let end = 0;
    for (const match of text.matchAll(EVENT_ID)) {
      this.take(Number(match[1]));
      end = match.index + match[0].length;
    }
    this.carry = text.slice(Math.max(end, text.length - 160));
    if (this.kind === 'websocket' && text.endsWith('TASK_ENDED')) this.answerClose(data);
  }

  private open(): void {
    this.isOpen = true;
    if (this.subscribe) this.socket.write(this.subscribe);
  }

  private take(seq: number): void {
    if (seq !== this.seq + 1) this.outOfOrder ??= seq;
    this.seq = seq;
  }

  private answerClose(data: Buffer): void {
    this.endedWell = data.includes(CLOSE_1000);
    // A masked close frame without a body.
    this.socket.end(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
  }

  private closed(): void {
    this.isClosed = true;
    if (this.kind === 'sse') this.endedWell = this.carry.includes('\n\n');
  }
}

/** Masked with zeros, which leaves the text as it is; up to 125 bytes. */
function maskedTextFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}
