import type { WebSocketAdapter } from '@nestjs/common';
import type { ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import type { BaseWsInstance, MessageMappingProperties } from '@nestjs/websockets';
import type { Server } from 'node:http';
import type { Observable } from 'rxjs';
import type { WebSocketServer } from 'ws';
import { routeUpgrades, type UpgradeListener } from './upgrade-routing.js';

/**
 * Gives an application that has no WebSocket adapter the one for `ws`; otherwise Nest would look for socket.io and end
 * the process. An adapter the host sets later, before it starts to listen, takes its place.
 */
export function installWsAdapter(config: ApplicationConfig, adapterHost: HttpAdapterHost): void {
  // Nest declares the adapter as always present.
  const present: WebSocketAdapter | undefined = config.getIoAdapter();
  if (!present) config.setIoAdapter(new LazyWsAdapter(adapterHost));
}

/** Whether the application's adapter has made a server of `ws`, whichever copy of that package it uses. */
export function isWsServer(server: unknown): server is WebSocketServer {
  return isRecord(server) && typeof server['handleUpgrade'] === 'function' && isRecord(server['options']);
}

/** Throws with what to do about it when the host's adapter speaks another protocol. */
export function assertWsServer(server: unknown): void {
  if (isWsServer(server)) return;
  throw new Error(
    'TaskBridge speaks plain WebSocket frames and needs a WebSocket adapter for "ws": set ' +
      'app.useWebSocketAdapter(new WsAdapter(app)) of @nestjs/platform-ws, or no adapter at all, or import ' +
      'TaskBridgeModule with webSocket: false',
  );
}

/**
 * The adapter for `ws` that finds its HTTP server when the first gateway needs it: in tests the providers exist before
 * the application does.
 */
class LazyWsAdapter implements WebSocketAdapter {
  private adapter: QuietWsAdapter | undefined;

  constructor(private readonly adapterHost: HttpAdapterHost) {}

  create(port: number, options?: Record<string, unknown>): WebSocketServer {
    this.adapter ??= new QuietWsAdapter(this.adapterHost.httpAdapter.getHttpServer());
    return this.adapter.create(port, options) as WebSocketServer;
  }

  bindClientConnect(server: BaseWsInstance, callback: () => void): void {
    this.made().bindClientConnect(server, callback);
  }

  bindClientDisconnect(client: BaseWsInstance, callback: () => void): void {
    this.made().bindClientDisconnect(client, callback);
  }

  bindMessageHandlers(
    client: BaseWsInstance,
    handlers: MessageMappingProperties[],
    transform: (data: unknown) => Observable<unknown>,
  ): void {
    // Gateways that listen themselves need no pipeline per connection.
    if (handlers.length > 0) this.made().bindMessageHandlers(client, handlers, transform);
  }

  async close(server: BaseWsInstance): Promise<void> {
    await this.adapter?.close(server);
  }

  async dispose(): Promise<void> {
    await this.adapter?.dispose();
  }

  private made(): QuietWsAdapter {
    if (!this.adapter) throw new Error('The WebSocket server has not been created yet');
    return this.adapter;
  }
}

/**
 * Without the line in the error log for every frame that a client gets wrong, and without taking the upgrades away from
 * the host's routes.
 */
class QuietWsAdapter extends WsAdapter {
  private readonly routed: (() => void)[] = [];

  override bindErrorHandler(server: WebSocketServer): WebSocketServer {
    server.on('connection', (client) => client.on('error', (error) => this.logger.debug(error.message)));
    server.on('error', (error) => this.logger.error(error));
    return server;
  }

  override async dispose(): Promise<void> {
    for (const takeOff of this.routed.splice(0)) takeOff();
    await super.dispose();
  }

  /** Puts the routing in the place of the listener that the base class adds when it sees a server first. */
  protected override ensureHttpServerExists(port: number, httpServer?: Server): Server | undefined {
    const before = httpServer?.listeners('upgrade') ?? [];
    const server = super.ensureHttpServerExists(port, httpServer);
    const upgrade = server?.listeners('upgrade').find((listener) => !before.includes(listener));
    if (!server || !isUpgradeListener(upgrade)) return server;
    server.off('upgrade', upgrade);
    const listener = routeUpgrades(server, { upgrade, serves: (pathname) => this.serves(port, pathname) });
    this.routed.push(() => server.off('upgrade', listener));
    return server;
  }

  private serves(port: number, pathname: string): boolean {
    const servers: readonly { path: string }[] = this.wsServersRegistry.get(port) ?? [];
    return servers.some(({ path }) => path === pathname);
  }
}

function isUpgradeListener(listener: unknown): listener is UpgradeListener {
  return typeof listener === 'function';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
