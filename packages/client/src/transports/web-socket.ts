/** As much of a `WebSocket` as is used: the browser's, Node's, React Native's and the `ws` package's all have it. */
export interface WebSocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** `headers` reach the server by `ws` and in React Native; browsers ignore the third argument. */
export type WebSocketConstructor = new (
  address: string,
  protocols?: string[],
  options?: { headers?: Record<string, string> },
) => WebSocketLike;

/** The platform's own; `undefined` in Node before 22. */
export function platformWebSocket(): WebSocketConstructor | undefined {
  return (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
}
