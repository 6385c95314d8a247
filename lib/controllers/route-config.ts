import { RouteConfig } from '@nestjs/platform-fastify';

/** What a route takes as its body. */
export interface TaskBridgeRouteConfig {
  /** Media types besides the empty body; without one the route reads no body. */
  accepts: readonly ('application/json' | 'multipart/form-data')[];
  /** Bytes of a JSON body. */
  bodyLimit: number;
  /** An empty body counts as absent, whatever its content type says. */
  bodyOptional: boolean;
}

/** Key of the Fastify route config that marks a route as the library's. */
export const TASKBRIDGE_ROUTE = 'taskBridge';

const NO_BODY: TaskBridgeRouteConfig = { accepts: [], bodyLimit: 1024, bodyOptional: true };

/** Marks a handler as the library's, so that also errors from before Nest sees the request get the wire's envelope. */
export const TaskBridgeRoute = (config: Partial<TaskBridgeRouteConfig> = {}): MethodDecorator =>
  RouteConfig({ [TASKBRIDGE_ROUTE]: { ...NO_BODY, ...config } });
