import { formatEventId, type GapMode } from '@taskbridge/protocol';
import type { ServerResponse } from 'node:http';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import type { SseStreamSettings } from '../taskbridge.options.js';
import { FollowerSink } from './follower-sink.js';
import type { FrameBatch } from './frame-batch.js';
import type { Drainable, StreamDrain } from './stream-drain.js';

/** After these the response completes; a client that asks again gets the answer that explains it. */
const ENDS: readonly StreamCloseReason[] = ['terminal', 'shutdown', 'gap', 'deleted'];

/** Writes one SSE stream to a response whose headers are out already. */
export class SseSink extends FollowerSink implements Drainable {
  readonly transport = 'sse';
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
    drain.add(this);
    // Writing to a response that the peer has just left emits an error; `close` follows and is what counts.
    response.on('error', ignore);
    response.once('close', () => this.leave());
  }

  write(batch: FrameBatch): void {
    this.response.write(batch.sse(), this.flushed);
  }

  heartbeat(seq: number): void {
    const { commentPing, jsonHeartbeat } = this.settings;
    const beat = (commentPing ? ': ping\n\n' : '') + (jsonHeartbeat ? this.jsonHeartbeat(seq) : '');
    if (beat === '') this.written();
    else this.response.write(beat, this.flushed);
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

  private leave(): void {
    this.drain.remove(this);
    this.gone();
  }
}

function ignore(): void {}
