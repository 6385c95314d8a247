import {
  Controller,
  Get,
  Inject,
  Post,
  Req,
  Res,
  type Type,
  UseFilters,
  UseGuards,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { parseCursor } from '@taskbridge/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { validate as isUuid } from 'uuid';
import { requestAuth, requestTask } from '../security/request-context.js';
import { TaskRequestGuard } from '../security/task-request.guard.js';
import { TaskRoute } from '../security/task-route.decorator.js';
import { UploadPolicy } from '../security/upload-policy.js';
import { StreamTicketService } from '../services/stream-ticket.service.js';
import { TaskActionService } from '../services/task-action.service.js';
import { TaskCancellationService } from '../services/task-cancellation.service.js';
import { TaskCreationService } from '../services/task-creation.service.js';
import { TaskPollingService } from '../services/task-polling.service.js';
import { TaskQueryService } from '../services/task-query.service.js';
import { AttachmentStore } from '../stores/attachment.store.js';
import type { TaskRecord } from '../stores/records.js';
import { TaskBridgeError, taskNotFound } from '../taskbridge.errors.js';
import type { HttpRouteSettings, TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { readCreateBody, traceparentOf } from './create-body.js';
import { CancelTaskDto } from './dto/cancel-task.dto.js';
import { ListTasksQueryDto } from './dto/list-tasks-query.dto.js';
import { PollEventsQueryDto } from './dto/poll-events-query.dto.js';
import { SubmitActionDto } from './dto/submit-action.dto.js';
import { clientGone, sendJson } from './http-reply.js';
import { isMultipart, MultipartCreate } from './multipart-create.js';
import { asBoolean, asInteger, asText, readBody, readCursor, readQuery } from './read-dto.js';
import { TaskBridgeRoute } from './route-config.js';
import { TaskBridgeExceptionFilter } from './taskbridge-exception.filter.js';

const DEFAULT_PAGE = 50;
const DEFAULT_POLL_EVENTS = 100;

/**
 * The routes of tasks except the stream, for one module's paths. Each handler sends its answer itself: a host's global
 * pipes, interceptors and filters cannot change the wire.
 */
export function createTasksController(paths: HttpRouteSettings, decorators: readonly ClassDecorator[] = []): Type {
  const { maxJsonBytes: bodyLimit } = paths;

  @UseFilters(TaskBridgeExceptionFilter)
  @UseGuards(TaskRequestGuard)
  @Controller({ path: paths.tasksPath, version: VERSION_NEUTRAL })
  class TasksController {
    private readonly uploads: MultipartCreate;

    constructor(
      private readonly creation: TaskCreationService,
      private readonly query: TaskQueryService,
      private readonly polling: TaskPollingService,
      private readonly cancellation: TaskCancellationService,
      private readonly actions: TaskActionService,
      private readonly tickets: StreamTicketService,
      attachments: AttachmentStore,
      uploadPolicy: UploadPolicy,
      @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
    ) {
      this.uploads = new MultipartCreate(attachments, uploadPolicy, settings.http);
    }

    @Post()
    @TaskBridgeRoute({ accepts: ['application/json', 'multipart/form-data'], bodyLimit, bodyOptional: false })
    async createTask(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      const auth = requestAuth(request.raw);
      const { maxPayloadDepth } = this.settings.http;
      const create = isMultipart(request)
        ? await this.uploads.read(request, reply, auth)
        : { ...readCreateBody(request, request.body, maxPayloadDepth), attachments: [] };
      const result = await this.creation.createTask({ ...create, auth, traceparent: traceparentOf(request) });
      sendJson(reply, result.deduplicated ? 200 : 201, result);
    }

    @Get()
    @TaskBridgeRoute()
    async listTasks(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      const { subject } = requestAuth(request.raw);
      const cursor = readCursor(request.query, 'cursor');
      if (cursor !== undefined && !isUuid(cursor))
        throw new TaskBridgeError('INVALID_CURSOR', 'cursor is not a cursor');
      const { limit = DEFAULT_PAGE, ...filters } = readQuery(ListTasksQueryDto, request.query, {
        status: asText,
        taskType: asText,
        waiting: asBoolean,
        limit: asInteger,
      });
      sendJson(reply, 200, await this.query.list({ ...filters, ownerId: subject, limit, cursor }));
    }

    @Get(':taskId')
    @TaskBridgeRoute()
    async getTask(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      sendJson(reply, 200, await this.query.snapshot(taskIdOf(request)));
    }

    @Get(':taskId/events')
    @TaskBridgeRoute()
    async pollEvents(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      const afterSeq = parseCursor(readCursor(request.query, 'afterEventId'));
      if (afterSeq === null) throw new TaskBridgeError('INVALID_CURSOR', 'afterEventId is not an event id');
      const asked = readQuery(PollEventsQueryDto, request.query, {
        waitTimeoutMs: asInteger,
        maxEvents: asInteger,
        gap: asText,
      });
      const { gap, waitTimeoutMs = this.settings.streams.pollWaitTimeoutMs, maxEvents = DEFAULT_POLL_EVENTS } = asked;
      const result = await this.polling.pollJson(taskOf(request), {
        afterSeq,
        // Fastify answers HEAD by this handler as well; nobody waits for headers.
        waitTimeoutMs: request.method === 'HEAD' ? 0 : waitTimeoutMs,
        maxEvents,
        gap,
        signal: clientGone(reply),
      });
      sendJson(reply, 200, result);
    }

    @Post(':taskId/cancel')
    @TaskRoute({ access: 'cancel' })
    @TaskBridgeRoute({ accepts: ['application/json'], bodyLimit, bodyOptional: true })
    async cancelTask(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      const { reason } = readBody(CancelTaskDto, request.body ?? {}, this.settings.http.maxPayloadDepth);
      sendJson(reply, 202, await this.cancellation.cancelTask({ taskId: taskIdOf(request), reason }));
    }

    @Post(':taskId/actions')
    @TaskRoute({ access: 'act' })
    @TaskBridgeRoute({ accepts: ['application/json'], bodyLimit, bodyOptional: false })
    async submitAction(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      const action = readBody(SubmitActionDto, request.body, this.settings.http.maxPayloadDepth);
      const { subject: acceptedBy } = requestAuth(request.raw);
      const result = await this.actions.submitAction({ ...action, taskId: taskIdOf(request), acceptedBy });
      sendJson(reply, result.status === 'DEDUPLICATED' ? 200 : 202, result);
    }

    @Post(':taskId/tickets')
    @TaskBridgeRoute({ accepts: ['application/json'] })
    async issueTicket(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      sendJson(reply, 201, await this.tickets.issue(taskIdOf(request), requestAuth(request.raw)));
    }
  }

  for (const decorate of decorators) decorate(TasksController);
  return TasksController;
}

/** The id as the database writes it; the path may have it in capitals. */
function taskIdOf(request: FastifyRequest): string {
  return taskOf(request).taskId;
}

/** As the guards have read it for this request. */
function taskOf(request: FastifyRequest): TaskRecord {
  const task = requestTask(request.raw);
  if (!task) throw taskNotFound('');
  return task;
}
