import { Controller, Get, Res, type Type, UseFilters, VERSION_NEUTRAL } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { CompositeReadinessProbe } from '../observability/composite-readiness.probe.js';
import type { HttpRouteSettings } from '../taskbridge.options.js';
import { sendJson } from './http-reply.js';
import { TaskBridgeRoute } from './route-config.js';
import { TaskBridgeExceptionFilter } from './taskbridge-exception.filter.js';

type HealthPaths = Pick<HttpRouteSettings, 'healthPath' | 'readyPath'>;

/**
 * The controllers of the two health routes, those that are not `false`. Both are open to everybody: an orchestrator has
 * no credentials.
 */
export function createHealthController(paths: HealthPaths, decorators: readonly ClassDecorator[] = []): Type[] {
  const { healthPath, readyPath } = paths;
  const controllers: Type[] = [];
  if (healthPath !== false) controllers.push(livenessController(healthPath));
  if (readyPath !== false) controllers.push(readinessController(readyPath));
  for (const controller of controllers) for (const decorate of decorators) decorate(controller);
  return controllers;
}

function livenessController(path: string): Type {
  @UseFilters(TaskBridgeExceptionFilter)
  @Controller({ path, version: VERSION_NEUTRAL })
  class HealthController {
    /** Says that the process serves; it asks nothing else, so that a slow database restarts nobody. */
    @Get()
    @TaskBridgeRoute()
    getHealth(@Res() reply: FastifyReply): void {
      sendJson(reply, 200, { status: 'ok' });
    }
  }
  return HealthController;
}

function readinessController(path: string): Type {
  @UseFilters(TaskBridgeExceptionFilter)
  @Controller({ path, version: VERSION_NEUTRAL })
  class ReadinessController {
    constructor(private readonly probe: CompositeReadinessProbe) {}

    @Get()
    @TaskBridgeRoute()
    async getReadiness(@Res() reply: FastifyReply): Promise<void> {
      const checks = await this.probe.check();
      const ready = checks.every(({ ok }) => ok);
      sendJson(reply, ready ? 200 : 503, { status: ready ? 'ready' : 'unavailable', checks });
    }
  }
  return ReadinessController;
}
