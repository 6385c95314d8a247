import { limited, raced } from '../wait.js';
import type { DiagnosticsListener } from '../diagnostics.js';
import { TaskBridgeClientError } from '../errors.js';

/** What headers are wanted for. */
export interface AuthHeaderContext {
  /** `startTask`, `getTask`, `stream`, … */
  operation: string;
  taskId?: string | undefined;
}

/**
 * Gives the headers that say who asks. `forceRefresh` follows a 401: the token that was given last is not good any more.
 * Refreshes that are wanted while one is under way share its answer. A refresh that rejects ends what it was for with
 * `AUTHENTICATION_ERROR`; a `TypeError`, which is what `fetch` throws without a network, lets a stream try again.
 */
export type AuthHeaderProvider = (
  context: AuthHeaderContext,
  forceRefresh: boolean,
) => Record<string, string> | Promise<Record<string, string>>;

/** The provider's headers, refreshed once for everybody who needs it at a time. */
export class AuthHeaders {
  #refreshing: Promise<Record<string, string>> | undefined;

  constructor(
    private readonly provider: AuthHeaderProvider | undefined,
    private readonly diagnostics: DiagnosticsListener,
    /** How long a refresh may take: everybody waits for it. */
    private readonly refreshTimeoutMs: number,
  ) {}

  get isConfigured(): boolean {
    return this.provider !== undefined;
  }

  /** Rejects with what the provider throws, and with the signal's reason. */
  async headers(context: AuthHeaderContext, signal?: AbortSignal): Promise<Record<string, string>> {
    return (await raced(this.#refreshing ?? this.provider?.(context, false), signal)) ?? {};
  }

  refreshed(context: AuthHeaderContext, signal?: AbortSignal): Promise<Record<string, string>> {
    this.#refreshing ??= limited(() => this.#refresh(context), this.refreshTimeoutMs).finally(
      () => (this.#refreshing = undefined),
    );
    return raced(this.#refreshing, signal);
  }

  async #refresh(context: AuthHeaderContext): Promise<Record<string, string>> {
    this.diagnostics({ kind: 'token-refresh', operation: context.operation });
    try {
      return (await this.provider?.(context, true)) ?? {};
    } catch (error) {
      if (error instanceof TypeError) throw error;
      throw new TaskBridgeClientError('AUTHENTICATION_ERROR', 'No token', { cause: error });
    }
  }
}
