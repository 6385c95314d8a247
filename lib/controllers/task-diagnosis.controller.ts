import { Controller, Get, Req, Res, type Type, UseFilters, UseGuards, VERSION_NEUTRAL } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requestTask } from '../security/request-context.js';
import { TaskRequestGuard } from '../security/task-request.guard.js';
import { TaskDiagnosisService } from '../services/task-diagnosis.service.js';
import { taskNotFound } from '../taskbridge.errors.js';
import type { HttpRouteSettings } from '../taskbridge.options.js';
import { sendJson } from './http-reply.js';
import { TaskBridgeRoute } from './route-config.js';
import { TaskBridgeExceptionFilter } from './taskbridge-exception.filter.js';

/** The class behind `GET {tasksPath}/:taskId/diagnosis`, for whoever may read the task. */
export function createTaskDiagnosisController(
  { tasksPath }: Pick<HttpRouteSettings, 'tasksPath'>,
  decorators: readonly ClassDecorator[] = [],
): Type {
  @UseFilters(TaskBridgeExceptionFilter)
  @UseGuards(TaskRequestGuard)
  @Controller({ path: tasksPath, version: VERSION_NEUTRAL })
  class TaskDiagnosisController {
    constructor(private readonly diagnosis: TaskDiagnosisService) {}

    @Get(':taskId/diagnosis')
    @TaskBridgeRoute()
    async diagnoseTask(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      const task = requestTask(request.raw);
      if (!task) throw taskNotFound('of this path');
      sendJson(reply, 200, await this.diagnosis.diagnose(task.taskId));
    }
  }

  for (const decorate of decorators) decorate(TaskDiagnosisController);
  return TaskDiagnosisController;
}
