import type { EventGap, GapMode } from '@taskbridge/protocol';
import type { StreamCloseReason, StreamTransport } from '../observability/transport-diagnostics.js';
import type { FrameBatch } from './frame-batch.js';

/** What a sink reports back about its peer. */
export interface SinkOwner {
  /** The last write has left this process; the next one may follow. */
  written(): void;
  /** The peer is gone: nothing can be sent any more. */
  gone(): void;
  /** The transport's side wants to end; `end` is called in turn. */
  close(reason: StreamCloseReason): void;
}

/**
 * The transport's end of one stream. Its follower writes one batch at a time and waits for `written`, so a sink never
 * queues; every method is called at most once before that, `end` at most once at all.
 */
export abstract class FollowerSink {
  abstract readonly transport: StreamTransport;
  /** Whether the peer wants to be told of events that are no longer stored. */
  abstract readonly gap: GapMode | undefined;
  /** It shares its connection with other streams: the transport sends the heartbeats and looks for stalls itself. */
  readonly isShared: boolean = false;
  private owner: SinkOwner | undefined;

  /** Called by the follower before its first write. */
  attach(owner: SinkOwner): void {
    this.owner = owner;
  }

  abstract write(batch: FrameBatch): void;
  /** Idle for the heartbeat interval; `seq` is the cursor of the stream. */
  abstract heartbeat(seq: number): void;
  /** The stream goes on with `retainedFromEventId`; a transport that cannot say so ends it. Only called where `gap` is set. */
  abstract announce(gap: EventGap): void;
  /** Nothing more will be written. Not called when the peer is gone. */
  abstract end(reason: StreamCloseReason): void;

  /** Ends the stream with the transport's retryable signal. */
  shutdown(): void {
    this.owner?.close('shutdown');
  }

  /** The transport has lost its peer. */
  gone(): void {
    this.owner?.gone();
  }

  protected written(): void {
    this.owner?.written();
  }

  protected close(reason: StreamCloseReason): void {
    this.owner?.close(reason);
  }
}
