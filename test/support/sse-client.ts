import { type ClientRequest, get, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { TaskEvent } from '@taskbridge/protocol';
import { eventually } from './eventually.js';

export interface SseRequest {
  headers?: Record<string, string>;
  query?: string;
  method?: string;
}

/** One SSE message as it came over the wire. */
export interface SseMessage {
  id: string | undefined;
  data: string | undefined;
  comment: boolean;
}

/** A client that keeps every byte and parses it by the rules of the HTML standard, as far as the wire uses them. */
export class SseClient {
  text = '';
  status = 0;
  headers: IncomingHttpHeaders = {};
  isEnded = false;
  /** The connection broke instead of ending. */
  isBroken = false;
  private response: IncomingMessage | undefined;
  private readonly call: ClientRequest;

  constructor(url: string, { headers = {}, query = '', method = 'GET' }: SseRequest = {}) {
    const target = query === '' ? url : `${url}?${query}`;
    const options = { headers, method, agent: false as const };
    this.call = method === 'GET' ? get(target, options) : request(target, options).end();
    this.call.on('response', (response) => this.read(response));
    this.call.on('error', () => (this.isBroken = true));
  }

  get messages(): SseMessage[] {
    const blocks = this.text.split('\n\n').slice(0, -1);
    return blocks.map((block) => {
      const lines = block.split('\n');
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      return { id: field('id'), data: field('data'), comment: block.startsWith(':') };
    });
  }

  /** Logged events only. */
  get events(): TaskEvent[] {
    return this.messages.filter(({ id }) => id !== undefined).map(({ data }) => JSON.parse(data ?? '') as TaskEvent);
  }

  get seqs(): number[] {
    return this.messages.flatMap(({ id }) => (id === undefined ? [] : [Number.parseInt(id, 10)]));
  }

  get heartbeats(): unknown[] {
    return this.messages
      .filter(({ id, data }) => id === undefined && data !== undefined)
      .map(({ data }) => JSON.parse(data ?? ''));
  }

  get json(): { code: string; message: string } {
    return JSON.parse(this.text) as { code: string; message: string };
  }

  async answered(): Promise<this> {
    await eventually(() => this.status !== 0 || this.isBroken);
    return this;
  }

  async ended(limitMs?: number): Promise<this> {
    await eventually(() => this.isEnded || this.isBroken, limitMs);
    return this;
  }

  async received(count: number, limitMs?: number): Promise<this> {
    await eventually(() => this.seqs.length >= count, limitMs);
    return this;
  }

  /** Leaves without a word. */
  disconnect(): void {
    this.call.destroy();
  }

  /** Stops to read, so that the server's writes pile up. */
  pause(): void {
    this.response?.pause();
  }

  resume(): void {
    this.response?.resume();
  }

  private read(response: IncomingMessage): void {
    this.response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.setEncoding('utf8');
    response.on('data', (text: string) => (this.text += text));
    response.on('end', () => (this.isEnded = true));
    response.on('error', () => (this.isBroken = true));
  }
}
