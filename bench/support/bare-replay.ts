import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import { TASK_EVENT_TYPES } from '@taskbridge/protocol';
import pg from 'pg';
import { runRaw } from '../../lib/stores/raw-query.js';
import type { TableNames } from '../../lib/stores/table-names.js';
import { textFrame } from '../../lib/streams/websocket-framing.js';

const PAGE = 500;
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

type Row = [seq: number, type: number, createdMs: number, payload: string];

/** Keyset reads written straight to the socket: the limit of a replay. SSE at `/sse/…`, polls at `/poll/…`, else WebSocket. */
export class BareReplay {
  private readonly server = createServer((request, response) => void this.answer(request, response));

  private constructor(
    private readonly client: pg.Client,
    private readonly tables: TableNames,
    private readonly taskId: string,
  ) {}

  static async open(url: string, tables: TableNames, taskId: string): Promise<BareReplay> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const replay = new BareReplay(client, tables, taskId);
    replay.server.on('upgrade', (_, socket: Writable) => {
      socket.write(SWITCHING);
      socket.write(textFrame('{"type":"SUBSCRIPTION_CONFIRMED"}'));
      void replay.send(socket, (rows) => Buffer.concat(rows.map((row) => textFrame(replay.envelope(row)))));
    });
    replay.server.listen(0, '127.0.0.1');
    await once(replay.server, 'listening');
    return replay;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await this.client.end();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://bench');
    if (pathname.startsWith('/poll')) return this.poll(Number(searchParams.get('afterEventId')), response);
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(':\n\n');
    await this.send(response, (rows) =>
      Buffer.from(rows.map((row) => `id: ${row[0]}-0\ndata: ${this.envelope(row)}\n\n`).join('')),
    );
  }

  private async poll(after: number, response: ServerResponse): Promise<void> {
    const rows = await this.page(after);
    const events = rows.map((row) => this.envelope(row)).join(',');
    const next = `"nextAfterEventId":"${rows.at(-1)?.[0] ?? after}-0","hasMore":true`;
    const body = Buffer.from(`{"taskId":"${this.taskId}","events":[${events}],${next}}`);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  }

  private async send(target: Writable, toBytes: (rows: Row[]) => Buffer): Promise<void> {
    for (let after = 0; ;) {
      const rows = await this.page(after);
      if (rows.length === 0) return;
      after = rows.at(-1)?.[0] ?? after;
      if (!target.write(toBytes(rows))) await once(target, 'drain');
    }
  }

  private async page(after: number): Promise<Row[]> {
    const text = `select seq, type, floor(extract(epoch from created_at) * 1000)::bigint, payload from ${this.tables.events}
      where task_id = $1 and seq > $2 order by seq limit $3`;
    return (await runRaw(this.client, text, [this.taskId, after, PAGE], 'page')).rows as unknown as Row[];
  }

  private envelope([seq, type, createdMs, payload]: Row): string {
    const createdAt = new Date(createdMs).toISOString();
    return `{"type":"${TASK_EVENT_TYPES[type]}","taskId":"${this.taskId}","eventId":"${seq}-0","createdAt":"${createdAt}","payload":${payload}}`;
  }
}
