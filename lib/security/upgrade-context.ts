import type { ArgumentsHost, ContextType, ExecutionContext, Type } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { TaskRoute } from './task-route.decorator.js';

/** What guards see as the request of a WebSocket upgrade: the parts of a `FastifyRequest` that an upgrade has. */
export interface UpgradeRequest {
  headers: IncomingMessage['headers'];
  url: string;
  method: string;
  /** `taskId` at a subscribe, empty at the upgrade. */
  params: Readonly<Record<string, string>>;
  query: Readonly<Record<string, unknown>>;
  raw: IncomingMessage;
}

class UpgradeRoute {
  @TaskRoute({ access: 'read', transport: 'websocket' })
  follow(): void {}
}

/**
 * Execution context of a WebSocket upgrade and of each subscribe on it. Its type is 'http', because an upgrade is an
 * HTTP request and guards written for the routes then work on it unchanged; there is no response.
 */
export class UpgradeContext implements ExecutionContext {
  private readonly request: UpgradeRequest;

  constructor(raw: IncomingMessage, params: Readonly<Record<string, string>> = {}) {
    const url = raw.url ?? '/';
    const query = Object.fromEntries(new URLSearchParams(url.split('?', 2)[1] ?? ''));
    this.request = { headers: raw.headers, url, method: raw.method ?? 'GET', params, query, raw };
  }

  getClass<T>(): Type<T> {
    return UpgradeRoute as unknown as Type<T>;
  }

  getHandler(): () => void {
    return UpgradeRoute.prototype.follow;
  }

  getArgs<T extends unknown[]>(): T {
    return [this.request] as unknown as T;
  }

  getArgByIndex<T>(index: number): T {
    return this.getArgs()[index] as T;
  }

  switchToHttp(): ReturnType<ArgumentsHost['switchToHttp']> {
    return {
      getRequest: <T>() => this.request as T,
      getResponse: <T>() => undefined as T,
      getNext: <T>() => undefined as T,
    };
  }

  switchToRpc(): never {
    throw new TypeError('A WebSocket upgrade has no RPC context');
  }

  switchToWs(): never {
    throw new TypeError('A WebSocket upgrade is an HTTP request: use switchToHttp()');
  }

  getType<T extends string = ContextType>(): T {
    return 'http' as T;
  }
}
