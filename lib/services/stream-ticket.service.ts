import { createHash, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { StreamTicketResponse } from '@taskbridge/protocol';
import type { AuthContext } from '../security/auth-context.js';
import { StreamTicketStore } from '../stores/stream-ticket.store.js';
import { TaskBridgeError } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';

/** What a presented ticket stands for. */
export interface TicketGrant {
  taskId: string;
  /** Whoever the ticket was issued to, as of then. */
  auth: AuthContext;
}

const TICKET_BYTES = 32;
const TICKET = /^[\w-]{43}$/;
const REMOVED_AT_ONCE = 1_000;

/**
 * Tickets that let a client which cannot send credentials, such as a browser's WebSocket or EventSource, open one
 * stream of one task. Each is good once and for seconds.
 */
@Injectable()
export class StreamTicketService {
  private readonly ttlMs: number;

  constructor(
    private readonly store: StreamTicketStore,
    @Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings,
  ) {
    this.ttlMs = settings.tickets.ttlMs;
  }

  /**
   * Whether the caller may see the task is checked by whoever asks for the ticket, and again when it is presented.
   * `auth` is stored as JSON meanwhile: what JSON cannot carry in its attributes is lost.
   */
  async issue(taskId: string, auth: AuthContext): Promise<StreamTicketResponse> {
    const ticket = randomBytes(TICKET_BYTES).toString('base64url');
    const expiresAt = await this.store.save(hashOf(ticket), taskId, JSON.stringify(auth), this.ttlMs);
    return { ticket, taskId, expiresAt: expiresAt.toISOString() };
  }

  /** Spends the ticket. Rejects with `AUTHENTICATION_ERROR` when it is unknown, used or expired, all alike. */
  async redeem(ticket: unknown): Promise<TicketGrant> {
    const stored =
      typeof ticket === 'string' && TICKET.test(ticket) ? await this.store.take(hashOf(ticket)) : undefined;
    if (!stored || stored.isExpired) throw ticketRefused();
    return { taskId: stored.taskId, auth: JSON.parse(stored.authJson) as AuthContext };
  }

  /** Called by the scheduler; returns how many tickets were left over. */
  removeExpired(): Promise<number> {
    return this.store.removeExpired(REMOVED_AT_ONCE);
  }
}

/** The refusal of a ticket, which does not say what was wrong with it. */
export function ticketRefused(): TaskBridgeError {
  return new TaskBridgeError('AUTHENTICATION_ERROR', 'The ticket is not good, or not any more: ask for another');
}

function hashOf(ticket: string): Buffer {
  return createHash('sha256').update(ticket).digest();
}
