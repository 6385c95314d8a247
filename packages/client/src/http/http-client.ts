import type { DiagnosticsListener } from '../diagnostics.js';
import { TaskBridgeClientError, RequestRefusedError } from '../errors.js';
import { backoffMs, type BackoffOptions } from '../recovery/backoff.js';
import { type NetworkStatus, pause, whenOnline } from '../recovery/network-status.js';
import { addressOf, type QueryValue } from '../routes.js';
import { childOf } from '../wait.js';
import type { AuthHeaderContext, AuthHeaders } from './auth-headers.js';
import { refusalOf } from './refusal.js';

/** One request. Repeating it has to be harmless: it may have been done although its answer was lost. */
export interface HttpRequest extends AuthHeaderContext {
  method?: 'GET' | 'POST';
  /** As a route resolver gave it. */
  route: string;
  query?: Record<string, QueryValue>;
  headers?: Record<string, string>;
  /** A form goes as it is, anything else as JSON. */
  body?: unknown;
  signal?: AbortSignal;
}

export interface HttpClientOptions {
  baseUrl: string;
  fetch: typeof fetch;
  auth: AuthHeaders;
  network: NetworkStatus;
  backoff: BackoffOptions;
  /** How often a command is tried, and how long each try may take. */
  commandAttempts: number;
  commandTimeoutMs: number;
  diagnostics: DiagnosticsListener;
}

/** Requests with the caller's identity: a 401 is tried once more with refreshed headers. */
export class HttpClient {
  constructor(private readonly options: HttpClientOptions) {}

  /** One try; resolves with an answer of 2xx and rejects with {@link RequestRefusedError} or what the network says. */
  async send(request: HttpRequest): Promise<Response> {
    const { auth } = this.options;
    let response = await this.fetch(request, await auth.headers(request));
    if (response.status === 401 && auth.isConfigured) {
      void response.body?.cancel().catch(() => undefined);
      response = await this.fetch(request, await auth.refreshed(request));
    }
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  /** One try, its body read as JSON. */
  async json<T>(request: HttpRequest): Promise<T> {
    const response = await this.send(request);
    return (await response.json()) as T;
  }

  /** Tries again after lost connections, 429 and 5xx, and waits while the device is offline. */
  async command<T>(request: HttpRequest): Promise<T> {
    const { network, diagnostics, backoff, commandAttempts } = this.options;
    const { operation, signal } = request;
    for (let attempt = 1; ; attempt += 1) {
      await whenOnline(network, signal, () => diagnostics({ kind: 'offline' }));
      try {
        return await this.timed(request);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (error instanceof RequestRefusedError ? !error.isRetryable : !isNetworkFailure(error)) throw error;
        if (attempt >= commandAttempts) throw lastFailure(operation, error);
        const delayMs = backoffMs(attempt - 1, backoff, (error as Partial<RequestRefusedError>).retryAfterMs);
        diagnostics({ kind: 'retry', operation, attempt, delayMs, error });
        await pause(delayMs, network, signal);
      }
    }
  }

  private async timed<T>(request: HttpRequest): Promise<T> {
    const { commandTimeoutMs } = this.options;
    const { controller, release } = childOf(request.signal);
    const expired = new NoAnswerError(`No answer within ${commandTimeoutMs} ms`);
    const timer = setTimeout(() => controller.abort(expired), commandTimeoutMs);
    try {
      return await this.json<T>({ ...request, signal: controller.signal });
    } finally {
      clearTimeout(timer);
      release();
    }
  }

  private fetch(request: HttpRequest, identity: Record<string, string>): Promise<Response> {
    const { method = 'GET', route, query, headers, body, signal } = request;
    const isForm = typeof FormData === 'function' && body instanceof FormData;
    const type: Record<string, string> = body === undefined || isForm ? {} : { 'content-type': 'application/json' };
    const { fetch, baseUrl } = this.options;
    const init: RequestInit & { cache: 'no-store' } = {
      method,
      cache: 'no-store',
      headers: { accept: 'application/json', ...type, ...headers, ...identity },
      ...(body !== undefined && { body: isForm ? body : JSON.stringify(body) }),
      ...(signal && { signal }),
    };
    return fetch(addressOf(baseUrl, route, query), init);
  }
}

class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/** `fetch` says so with a `TypeError`, a truncated body with that or a `SyntaxError`. */
function isNetworkFailure(error: unknown): boolean {
  const name = (error as Partial<Error> | undefined)?.name ?? '';
  return ['TypeError', 'SyntaxError', 'NoAnswerError', 'AbortError', 'NetworkError'].includes(name);
}

function lastFailure(operation: string, error: unknown): unknown {
  if (error instanceof RequestRefusedError) return error;
  return new TaskBridgeClientError('CONNECTION_FAILED', `${operation} got no answer`, { cause: error });
}
