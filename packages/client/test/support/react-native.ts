import { AbortController, AbortSignal } from 'abort-controller';
import { request as httpRequest } from 'node:http';
import vm from 'node:vm';
import { WebSocket as NodeWebSocket } from 'ws';
import { bundle } from '../../../../test/client/support/bundle.js';

/** What a constructor of React Native's WebSocket was given. */
export interface SocketCall {
  address: string;
  protocols: unknown;
  options: Record<string, unknown>;
}

/** As React Native's: headers in a third argument, no `terminate`, and its own words for a refused upgrade. */
export function webSocketOf(calls: SocketCall[]): unknown {
  return class WebSocket {
    onopen?: (event: object) => void;
    onmessage?: (event: object) => void;
    onerror?: (event: object) => void;
    onclose?: (event: object) => void;
    private readonly socket: NodeWebSocket;

    constructor(address: string, protocols: string[] | null, options: { headers?: Record<string, string> } = {}) {
      calls.push({ address, protocols, options });
      this.socket = new NodeWebSocket(address, protocols ?? [], { headers: options.headers ?? {} });
      this.socket.on('open', () => this.onopen?.({ type: 'open' }));
      this.socket.on('message', (data) => this.onmessage?.({ type: 'message', data: (data as Buffer).toString() }));
      this.socket.on('error', ({ message }) => this.fail(message));
      this.socket.on('close', (code, reason) => this.onclose?.({ type: 'close', code, reason: reason.toString() }));
      this.socket.on('unexpected-response', (_, { statusCode, statusMessage }) => {
        this.fail(`Expected HTTP 101 response but was '${statusCode} ${statusMessage}'`);
        this.socket.terminate();
      });
    }

    send(data: string): void {
      if (this.socket.readyState === NodeWebSocket.CONNECTING) throw new Error('INVALID_STATE_ERR');
      this.socket.send(data);
    }

    close(): void {
      this.socket.close();
    }

    private fail(message: string): void {
      this.socket.removeAllListeners('close');
      this.socket.on('error', () => undefined);
      this.onerror?.({ type: 'error', message });
      this.onclose?.({ type: 'close', code: 1006, reason: message });
    }
  };
}

interface FetchInit {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
}

/** As React Native's, which stands on XMLHttpRequest: an answer is there when all of it is, and has no body to read from. */
function fetchLike(address: string, { method = 'GET', headers = {}, body, signal }: FetchInit = {}): Promise<object> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(address, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('error', () => reject(new TypeError('Network request failed')));
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        const get = (name: string): string | null => response.headers[name]?.toString() ?? null;
        resolve({ ok: status >= 200 && status < 300, status, url: address, headers: { get }, text: async () => text });
      });
    });
    request.on('error', () => reject(new TypeError('Network request failed')));
    signal?.addEventListener('abort', () => {
      request.destroy();
      reject(Object.assign(new Error('Aborted'), { name: 'AbortError' }));
    });
    request.end(body);
  });
}

class FormDataLike {}

/**
 * The bundle of the package, run where there is nothing but the language and what React Native adds to it: no DOM, no
 * `navigator.onLine`, no `EventSource`, no streams, and abort signals without a reason. They are the very ones of React
 * Native, from the package that it takes them from.
 */
export async function inReactNative(more: Record<string, unknown>): Promise<typeof import('@taskbridge/client')> {
  const globals = {
    setTimeout,
    performance,
    clearTimeout,
    setInterval,
    clearInterval,
    fetch: fetchLike,
    FormData: FormDataLike,
    AbortController,
    AbortSignal,
    navigator: { product: 'ReactNative' },
    ...more,
  };
  const context = vm.createContext({ ...globals, window: globals, module: { exports: {} } });
  vm.runInContext(Buffer.from(await bundle('packages/client/src/index.ts', { format: 'cjs' })).toString(), context);
  return vm.runInContext('module.exports', context) as typeof import('@taskbridge/client');
}
