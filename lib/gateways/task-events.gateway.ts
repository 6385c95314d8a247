import { Inject, Logger, type OnModuleInit, type Type } from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import { type OnGatewayConnection, type OnGatewayInit, WebSocketGateway } from '@nestjs/websockets';
import type { IncomingMessage } from 'node:http';
import type { VerifyClientCallbackAsync, WebSocket } from 'ws';
import { TaskRequestAuthorizer } from '../security/task-request-authorizer.js';
import { WebSocketSubscriptionService } from '../services/websocket-subscription.service.js';
import { StreamDrain } from '../streams/stream-drain.js';
import { StreamTicker } from '../streams/stream-ticker.js';
import type { TaskBridgeSettings, WebSocketRouteSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { refuseUpgrade } from './upgrade-check.js';
import { selectSubprotocol } from './subprotocol.js';
import type { SubscriptionContext } from './task-subscription.js';
import { WebSocketConnection } from './websocket-connection.js';
import { assertWsServer, installWsAdapter, isWsServer } from './ws-adapter-support.js';

/** A client that does not answer a close frame is cut off after this. */
const CLOSE_GRACE_MS = 5_000;

type VerifyCallback = Parameters<VerifyClientCallbackAsync>[1];

/**
 * The class behind the WebSocket path, made per module instance because the path is an option. It listens to its
 * clients itself: Nest's message handlers need frames of another shape.
 */
export function createTaskEventsGateway({
  path,
  maxFrameBytes,
}: Pick<WebSocketRouteSettings, 'path' | 'maxFrameBytes'>): Type {
  @WebSocketGateway({ path, maxPayload: maxFrameBytes, perMessageDeflate: false, closeTimeout: CLOSE_GRACE_MS })
  class TaskEventsGateway implements OnGatewayInit, OnGatewayConnection, OnModuleInit {
    private readonly context: SubscriptionContext;
    private server: unknown;

    constructor(
      applicationConfig: ApplicationConfig,
      adapterHost: HttpAdapterHost,
      authorizer: TaskRequestAuthorizer,
      subscriptions: WebSocketSubscriptionService,
      drain: StreamDrain,
      ticker: StreamTicker,
      @Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings,
    ) {
      this.context = { logger: new Logger('TaskStreams'), authorizer, subscriptions, drain, ticker, settings };
      installWsAdapter(applicationConfig, adapterHost);
    }

    /** Set here and not in the decorator, because it belongs to this instance and the class may serve several apps. */
    afterInit(server: unknown): void {
      this.server = server;
      if (!isWsServer(server)) return;
      server.options.handleProtocols = selectSubprotocol;
      server.options.verifyClient = ({ req }: { req: IncomingMessage }, answer: VerifyCallback) =>
        void this.decide(req, answer);
    }

    /** Runs after `afterInit` and before the application listens; without an HTTP server there was no `afterInit`. */
    onModuleInit(): void {
      if (this.server !== undefined) assertWsServer(this.server);
    }

    handleConnection(client: WebSocket, request: IncomingMessage): void {
      new WebSocketConnection(client, request, this.context).start();
    }

    private async decide(request: IncomingMessage, answer: VerifyCallback): Promise<void> {
      const refusal = await refuseUpgrade(request, this.context);
      if (refusal) answer(false, refusal.status, refusal.body, refusal.headers);
      else answer(true);
    }
  }
  return TaskEventsGateway;
}
