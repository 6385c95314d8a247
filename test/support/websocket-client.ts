import type { TaskEvent } from '@taskbridge/protocol';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { eventually } from './eventually.js';

/** An upgrade that was answered by an ordinary HTTP response. */
export interface RefusedUpgrade {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

/** A client that keeps every frame. */
export class WebSocketClient {
  readonly frames: Record<string, unknown>[] = [];
  closeCode = 0;
  closeReason = '';
  refusal: RefusedUpgrade | undefined;
  readonly opened: Promise<void>;
  readonly socket: WebSocket;

  constructor(url: string, headers: Record<string, string>, subprotocols: string[] = []) {
    this.socket = new WebSocket(url, subprotocols, { headers, perMessageDeflate: false });
    this.socket.on('message', (data: Buffer) =>
      this.frames.push(JSON.parse(data.toString()) as Record<string, unknown>),
    );
    this.socket.on('close', (code, reason) => {
      this.closeCode = code;
      this.closeReason = String(reason);
    });
    this.socket.on('error', () => undefined);
    this.socket.on('unexpected-response', (_request, response: IncomingMessage) => this.refused(response));
    this.opened = new Promise((resolve) => this.socket.once('open', () => resolve()));
  }

  send(frame: object | string | Buffer): void {
    this.socket.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  get events(): TaskEvent[] {
    return this.frames.filter((frame) => 'eventId' in frame) as unknown as TaskEvent[];
  }

  get seqs(): number[] {
    return this.events.map(({ eventId }) => Number.parseInt(eventId, 10));
  }

  get heartbeats(): object[] {
    return this.frames.filter(({ type }) => type === 'HEARTBEAT');
  }

  async received(count: number, limitMs?: number): Promise<this> {
    await eventually(() => this.events.length >= count, limitMs);
    return this;
  }

  /** Resolves with the code, and the reason up to its first colon. */
  async closed(limitMs?: number): Promise<[code: number, reason: string]> {
    await eventually(() => this.closeCode !== 0, limitMs);
    return [this.closeCode, this.closeReason.split(':')[0] ?? ''];
  }

  async refusedWith(): Promise<RefusedUpgrade> {
    await eventually(() => this.refusal !== undefined);
    return this.refusal as RefusedUpgrade;
  }

  private refused(response: IncomingMessage): void {
    let body = '';
    response.setEncoding('utf8').on('data', (text: string) => (body += text));
    response.on('end', () => {
      this.refusal = { status: response.statusCode ?? 0, headers: response.headers, body };
    });
  }
}
