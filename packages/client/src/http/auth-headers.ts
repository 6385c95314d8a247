import type { DiagnosticsListener } from '../diagnostics.js';

/** What headers are wanted for. */
export interface AuthHeaderContext {
  /** `startTask`, `getTask`, `stream`, … */
  operation: string;
  taskId?: string;
}

/**
 * Gives the headers that say who asks. `forceRefresh` follows a 401: the token that was given last is not good any more.
 * Refreshes that are wanted while one is under way share its answer.
 */
export type AuthHeaderProvider = (
  context: AuthHeaderContext,
  forceRefresh: boolean,
) => Record<string, string> | Promise<Record<string, string>>;

/** The provider's headers, refreshed once for everybody who needs it at a time. */
export class AuthHeaders {
  private refreshing: Promise<Record<string, string>> | undefined;

  constructor(
    private readonly provider: AuthHeaderProvider | undefined,
    private readonly diagnostics: DiagnosticsListener,
  ) {}

  get isConfigured(): boolean {
    return this.provider !== undefined;
  }

  async headers(context: AuthHeaderContext): Promise<Record<string, string>> {
    return this.refreshing ?? (await this.provider?.(context, false)) ?? {};
  }

  refreshed(context: AuthHeaderContext): Promise<Record<string, string>> {
    this.refreshing ??= this.refresh(context).finally(() => (this.refreshing = undefined));
    return this.refreshing;
  }

  private async refresh(context: AuthHeaderContext): Promise<Record<string, string>> {
    this.diagnostics({ kind: 'token-refresh', operation: context.operation });
    return (await this.provider?.(context, true)) ?? {};
  }
}
