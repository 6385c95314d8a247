import { formatEventId, type GapMode } from '@taskbridge/protocol';
import { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import type { SseStreamSettings } from '../taskbridge.options.js';
import { FollowerSink } from './follower-sink.js';
import type { FrameBatch } from './frame-batch.js';
import type { Drainable, StreamDrain } from './stream-drain.js';

/** After these the response completes; a client that asks again gets the answer that explains it. */
const ENDS: readonly StreamCloseReason[] = ['terminal', 'shutdown', 'gap', 'deleted'];

/**
 * Writes one SSE stream to a response whose headers are out already; over HTTP/1 to the socket below it, because the body
 * needs no framing, and Node's responses take a third more CPU per write.
 */
export class SseSink extends FollowerSink implements Drainable {
  readonly transport = 'sse';
  private readonly body: Writable;
  private readonly flushed = (error?: Error | null): void => {
    if (!error) this.written();
  };

  constructor(
    private readonly taskId: string,
    private readonly response: ServerResponse,
    private readonly settings: SseStreamSettings,
    private readonly drain: StreamDrain,
    readonly gap: GapMode | undefined,
  ) {
    super();
    this.body = isUnframed(response) ? response.socket : response;
    drain.add(this);
    // Writing to a response that the peer has just left emits an error; `close` follows and is what counts.
    response.on('error', ignore);
    response.once('close', () => this.leave());
  }

  write(batch: FrameBatch): void {
    this.send(batch.sse());
  }

  heartbeat(seq: number): void {
    const { commentPing, jsonHeartbeat } = this.settings;
    const beat = (commentPing ? ': ping\n\n' : '') + (jsonHeartbeat ? this.jsonHeartbeat(seq) : '');
    if (beat === '') this.written();
    else this.send(beat);
  }

  /** The status is out already. The client comes back with its cursor and is answered 410. */
  announce(): void {
    this.close('gap');
  }

  end(reason: StreamCloseReason): void {
    if (ENDS.includes(reason)) this.response.end();
    else this.terminate();
  }

  terminate(): void {
    this.response.destroy();
  }

  /** Shaped like an event with the current cursor, but without `id:`, so that it never moves one. */
  private jsonHeartbeat(seq: number): string {
    const frame = {
      type: 'HEARTBEAT',
      taskId: this.taskId,
      eventId: formatEventId(seq),
      createdAt: new Date().toISOString(),
      payload: { live: true },
    };
    return `data: ${JSON.stringify(frame)}\n\n`;
  }

  /** A peer that has left takes nothing more; the end of the response follows. */
  private send(bytes: Buffer | string): void {
    if (this.body.writable) this.body.write(bytes, this.flushed);
  }

  private leave(): void {
    this.drain.remove(this);
    this.gone();
  }
}

/**
 * What is written to the socket is the body as it is: HTTP/1, ended by the connection, its head written, and nobody of the
 * host's between that would see or change what is written.
 */
function isUnframed(response: ServerResponse): response is ServerResponse & { socket: Socket } {
  const { socket, req, headersSent, useChunkedEncodingByDefault: isChunked } = response;
  const isPlain = response.write === ServerResponse.prototype.write && req.httpVersionMajor === 1;
  return isPlain && !isChunked && headersSent && socket !== null;
}

function ignore(): void {}
