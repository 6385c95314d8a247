import { throwIfAborted } from '../abort.js';
import type { DiagnosticsListener } from '../diagnostics.js';
import { TaskBridgeClientError, RequestRefusedError } from '../errors.js';
import { backoffMs, type BackoffOptions } from '../recovery/backoff.js';
import { type NetworkStatus, pause, whenOnline } from '../recovery/network-status.js';
import { addressOf, type QueryValue } from '../routes.js';
import { limited, NetworkFailure, networkFailure } from '../wait.js';
import type { AuthHeaderContext, AuthHeaders } from './auth-headers.js';
import { membersOf, refusalOf } from './refusal.js';

/** One request. Repeating it has to be harmless: it may have been done although its answer was lost. */
export interface HttpRequest extends AuthHeaderContext {
  method?: 'GET' | 'POST';
  /** As a route resolver gave it. */
  route: string;
  query?: Record<string, QueryValue>;
  headers?: Record<string, string>;
  /** A form goes as it is, anything else as JSON. */
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** The member that tells TaskBridge's answer from others: a text or a list. @default 'taskId' */
  answer?: string;
}

export interface HttpClientOptions {
  baseUrl: string;
  fetch: typeof fetch;
  auth: AuthHeaders;
  network: NetworkStatus;
  recovery: BackoffOptions;
  /** How often a command is tried, and how long each try may take. */
  commandAttempts: number;
  commandTimeoutMs: number;
  diagnostics: DiagnosticsListener;
}

/** Requests with the caller's identity: a 401 is tried once more with refreshed headers. */
export class HttpClient {
  readonly #options: HttpClientOptions;

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /** One try; resolves with an answer of 2xx and rejects with {@link RequestRefusedError} or what the network says. */
  async send(request: HttpRequest): Promise<Response> {
    const { auth } = this.#options;
    const identity = await auth.headers(request, request.signal);
    const { refreshes } = auth;
    let response = await this.#fetch(request, identity);
    if (response.status === 401 && auth.isConfigured) {
      void response.body?.cancel().catch(() => undefined);
      response = await this.#fetch(request, await auth.refreshed(request, refreshes, request.signal));
    }
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  /** One try, its body read as JSON; `UNEXPECTED_ANSWER` when that is not what TaskBridge answers. */
  async json<T>(request: HttpRequest): Promise<T> {
    const response = await this.send(request);
    const text = await response.text().catch(networkFailure);
    const body = membersOf(text);
    const member = body[request.answer ?? 'taskId'];
    if (typeof member === 'string' || Array.isArray(member)) return body as T;
    const message = `${request.operation} was answered by ${text.slice(0, 200)}`;
    throw new RequestRefusedError('UNEXPECTED_ANSWER', message, { status: response.status });
  }

  /** Tries again after lost connections, 429 and 5xx, and waits while the device is offline. */
  async command<T>(request: HttpRequest): Promise<T> {
    const { network, diagnostics, recovery, commandAttempts, commandTimeoutMs } = this.#options;
    const { operation, signal } = request;
    for (let attempt = 1; ; attempt += 1) {
      await whenOnline(network, signal, () => diagnostics({ kind: 'offline' }));
      try {
        return await limited((own) => this.json<T>({ ...request, signal: own }), commandTimeoutMs, signal);
      } catch (error) {
        throwIfAborted(signal);
        if (error instanceof RequestRefusedError ? !error.isRetryable : !(error instanceof NetworkFailure)) throw error;
        if (attempt >= commandAttempts) throw lastFailure(operation, error as NetworkFailure);
        const delayMs = backoffMs(attempt - 1, recovery, (error as Partial<RequestRefusedError>).retryAfterMs);
        diagnostics({ kind: 'retry', operation, attempt, delayMs, error });
        await pause(delayMs, network, signal);
      }
    }
  }

  /** Redirects are answers like any other: the credentials are for this address. */
  #fetch(request: HttpRequest, identity: Record<string, string>): Promise<Response> {
    const { method = 'GET', route, query, headers, body, signal } = request;
    const isForm = body instanceof FormData;
    const type: Record<string, string> = body === undefined || isForm ? {} : { 'content-type': 'application/json' };
    const { fetch, baseUrl } = this.#options;
    const init: RequestInit = {
      method,
      redirect: 'manual',
      headers: { accept: 'application/json', ...type, ...headers, ...identity },
      body: isForm ? body : JSON.stringify(body),
      signal,
    };
    return fetch(addressOf(baseUrl, route, query), init).catch(networkFailure);
  }
}

function lastFailure(operation: string, error: Error): Error {
  if (error instanceof RequestRefusedError) return error;
  return new TaskBridgeClientError('CONNECTION_FAILED', `${operation} got no answer`, { cause: error.cause ?? error });
}
