import type { ArgumentsHost, ExecutionContext } from '@nestjs/common';
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
  follow(this: void): void {}
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

  // `never` fits whatever type a guard asks for; what it gets is decided by what it asks.
  getClass(): never {
    return UpgradeRoute as never;
  }

  getHandler(): () => void {
    return UpgradeRoute.prototype.follow;
  }

  getArgs(): never {
    return [this.request] as never;
  }

  getArgByIndex(index: number): never {
    return [this.request][index] as never;
  }

  switchToHttp(): ReturnType<ArgumentsHost['switchToHttp']> {
    return {
      getRequest: () => this.request as never,
      getResponse: () => undefined as never,
      getNext: () => undefined as never,
    };
  }

  switchToRpc(): never {
    throw new TypeError('A WebSocket upgrade has no RPC context');
  }

  switchToWs(): never {
    throw new TypeError('A WebSocket upgrade is an HTTP request: use switchToHttp()');
  }

  getType(): never {
    return 'http' as never;
  }
}
