import type { Server } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';

/** The connections of the HTTP server that serves the library's routes, for its shutdown; empty without such routes. */
@Injectable()
export class HttpConnections {
  private host: HttpAdapterHost | undefined;
  private refusesReuse = false;

  /** Where answers of the library's routes tell clients not to use their connection again. */
  get isDraining(): boolean {
    return this.refusesReuse;
  }

  attach(host: HttpAdapterHost): void {
    this.host = host;
  }

  startDraining(): void {
    this.refusesReuse = true;
  }

  /** Connections without a request. */
  closeIdle(): void {
    this.server?.closeIdleConnections?.();
  }

  /** The same, once the server takes no new ones: answers that ended meanwhile leave their connections open. */
  closeIdleOfClosedServer(): void {
    if (this.server?.listening === false) this.closeIdle();
  }

  /** All, whatever they are doing: those of the host's own routes too. */
  closeAll(): void {
    this.server?.closeAllConnections?.();
  }

  /** HTTP/2 servers have neither of the methods; Fastify ends their sessions. */
  private get server(): (Partial<Server> & { listening: boolean }) | undefined {
    return this.host?.httpAdapter?.getHttpServer?.() as Server | undefined;
  }
}
