import { Controller, Get, Inject, Req, Res, type Type, UseFilters, UseGuards, VERSION_NEUTRAL } from '@nestjs/common';
import type { GapMode } from '@taskbridge/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { forgetRequestTask, requestTask } from '../security/request-context.js';
import { TaskRequestGuard } from '../security/task-request.guard.js';
import { TaskRoute } from '../security/task-route.decorator.js';
import { gapError } from '../services/event-gap.service.js';
import { WebSocketSubscriptionService } from '../services/websocket-subscription.service.js';
import type { TaskRecord } from '../stores/records.js';
import { SseSink } from '../streams/sse.sink.js';
import { isAtEnd } from '../streams/stream-cursor.js';
import { StreamDrain } from '../streams/stream-drain.js';
import { taskNotFound } from '../taskbridge.errors.js';
import type { HttpRouteSettings, SseStreamSettings, TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { StreamEventsQueryDto } from './dto/stream-events-query.dto.js';
import { asText, readQuery } from './read-dto.js';
import { TaskBridgeRoute } from './route-config.js';
import { StreamTurns } from './stream-turns.js';
import { TaskBridgeExceptionFilter } from './taskbridge-exception.filter.js';

const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Headers of a message with a length or an encoding; a stream has neither. */
const NOT_FOR_STREAMS = ['content-length', 'content-encoding', 'transfer-encoding', 'connection', 'keep-alive', 'etag'];

/**
 * The class behind `GET {tasksPath}/:taskId/events/stream`, made per module instance because its path is an option.
 * Everything that may be refused is refused before the reply is taken over; from then on the response is the stream's.
 */
export function createTaskStreamController(
  { tasksPath }: Pick<HttpRouteSettings, 'tasksPath'>,
  decorators: readonly ClassDecorator[] = [],
): Type {
  @UseFilters(TaskBridgeExceptionFilter)
  @UseGuards(TaskRequestGuard)
  @Controller({ path: tasksPath, version: VERSION_NEUTRAL })
  class TaskStreamController {
    private readonly settings: SseStreamSettings;
    private readonly turns = new StreamTurns();

    constructor(
      private readonly subscriptions: WebSocketSubscriptionService,
      private readonly drain: StreamDrain,
      @Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings,
    ) {
      this.settings = settings.streams.sse;
    }

    @Get(':taskId/events/stream')
    @TaskRoute({ access: 'read', transport: 'sse' })
    @TaskBridgeRoute()
    async stream(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      const task = followedTask(request);
      const { gap } = readQuery(StreamEventsQueryDto, request.query, { gap: asText });
      const { afterSeq, isGap } = this.subscriptions.startOf(task, requestedCursor(request), 'sse');
      if (isGap && gap) throw gapError(await this.subscriptions.gapOf(task.taskId));
      if (isAtEnd(task, afterSeq)) void reply.status(204).send();
      else if (request.method === 'HEAD') void reply.headers(EVENT_STREAM_HEADERS).send();
      else if (await this.turns.take(request.raw, reply.raw)) this.follow(task, afterSeq, gap, reply);
      // Nobody is there to be answered.
      else reply.hijack();
    }

    private follow(task: TaskRecord, afterSeq: number, gap: GapMode | undefined, reply: FastifyReply): void {
      this.drain.assertOpen();
      const sink = new SseSink(task.taskId, takeOver(reply, this.settings), this.settings, this.drain, gap);
      this.subscriptions.open(task, afterSeq, sink);
    }
  }

  for (const decorate of decorators) decorate(TaskStreamController);
  return TaskStreamController;
}

function followedTask(request: FastifyRequest): TaskRecord {
  const task = requestTask(request.raw);
  if (!task) throw taskNotFound('of this path');
  forgetRequestTask(request.raw);
  return task;
}

/** The header is what a browser sends when it reconnects, so it beats the query it started with. */
function requestedCursor(request: FastifyRequest): unknown {
  const query = request.query as Readonly<Record<string, unknown>>;
  return request.headers['last-event-id'] ?? query['lastEventId'];
}

/**
 * Sends the head and the first bytes. What the host has put on the reply (CORS and the like) stays. The body ends with
 * the connection instead of being chunked: chunk framing would cost a third more per event.
 */
function takeOver(reply: FastifyReply, { preambleBytes }: SseStreamSettings): ServerResponse {
  const headers = { ...reply.getHeaders() } as OutgoingHttpHeaders;
  for (const name of NOT_FOR_STREAMS) Reflect.deleteProperty(headers, name);
  reply.hijack();
  const response = reply.raw;
  // Removing a header that is not there would keep Node from writing its own.
  for (const name of NOT_FOR_STREAMS) if (response.hasHeader(name)) response.removeHeader(name);
  if (reply.request.raw.httpVersionMajor === 1) endWithConnection(response);
  response.writeHead(200, Object.assign(headers, EVENT_STREAM_HEADERS));
  response.write(`:${' '.repeat(preambleBytes)}\n\n`);
  return response;
}

/** The stream has its own checks for silence, so the server's time-out for idle sockets does not apply. */
function endWithConnection(response: ServerResponse): void {
  response.useChunkedEncodingByDefault = false;
  response.socket?.setTimeout(0);
  response.socket?.setNoDelay(true);
}
