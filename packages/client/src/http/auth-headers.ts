import { limited, networkFailure, raced } from '../wait.js';
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
 * `AUTHENTICATION_ERROR`; a `TypeError`, which is what `fetch` throws without a network, makes streams and commands try again.
 */
export type AuthHeaderProvider = (
  context: AuthHeaderContext,
  forceRefresh: boolean,
) => Record<string, string> | Promise<Record<string, string>>;

/** The provider's headers, refreshed once for everybody who needs it at a time. */
export class AuthHeaders {
  readonly #provider: AuthHeaderProvider | undefined;
  readonly #diagnostics: DiagnosticsListener;
  /** How long a refresh may take: everybody waits for it. */
  readonly #refreshTimeoutMs: number;
  /** How often they have been refreshed. */
  refreshes = 0;
  #refreshing: Promise<Record<string, string>> | undefined;

  constructor(provider: AuthHeaderProvider | undefined, diagnostics: DiagnosticsListener, refreshTimeoutMs: number) {
    this.#provider = provider;
    this.#diagnostics = diagnostics;
    this.#refreshTimeoutMs = refreshTimeoutMs;
  }

  get isConfigured(): boolean {
    return this.#provider !== undefined;
  }

  /** Rejects with what the provider throws, a `NetworkFailure` for a `TypeError`, and with the signal's reason. */
  async headers(context: AuthHeaderContext, signal?: AbortSignal): Promise<Record<string, string>> {
    try {
      return (await raced(this.#refreshing ?? this.#provider?.(context, false), signal)) ?? {};
    } catch (error) {
      if (error instanceof TypeError) networkFailure(error);
      throw error;
    }
  }

  /** After a 401 to headers from before so many refreshes: newer ones there are already, or a refresh. */
  refreshed(context: AuthHeaderContext, refreshes: number, signal?: AbortSignal): Promise<Record<string, string>> {
    if (refreshes !== this.refreshes) return this.headers(context, signal);
    this.#refreshing ??= limited(() => this.#refresh(context), this.#refreshTimeoutMs).finally(
      () => (this.#refreshing = undefined),
    );
    return raced(this.#refreshing, signal);
  }

  async #refresh(context: AuthHeaderContext): Promise<Record<string, string>> {
    this.#diagnostics({ kind: 'token-refresh', operation: context.operation });
    try {
      const headers = (await this.#provider?.(context, true)) ?? {};
      this.refreshes += 1;
      return headers;
    } catch (error) {
      if (error instanceof TypeError) networkFailure(error);
      throw new TaskBridgeClientError('AUTHENTICATION_ERROR', 'No token', { cause: error });
    }
  }
}
