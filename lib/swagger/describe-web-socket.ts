import type { OpenAPIObject } from '@nestjs/swagger';

/**
 * Adds the WebSocket upgrade to a document, which `SwaggerModule` cannot list because it is not a route. Its frames are
 * the JSON Schemas of `@taskbridge/protocol`.
 */
export function describeWebSocket(document: OpenAPIObject, path = '/api/v1/tasks/ws'): OpenAPIObject {
  const upgrade = {
    tags: ['streaming'],
    operationId: 'followOverWebSocket',
    summary: 'Follow the events over a WebSocket',
    description:
      'After the upgrade the client sends {"action": "subscribe", "taskId", "lastEventId"?, "gap"?}; the server answers ' +
      'SUBSCRIPTION_CONFIRMED, then every newer event as a TaskEvent, and HEARTBEAT when idle. With "gap": "error" a GAP ' +
      'frame says where events are no longer stored. It closes 1000 after the terminal event and 1008 for a refusal. With ' +
      '"multiplex": true more subscribes and {"action": "unsubscribe", "taskId"} may follow: each subscription ends by a ' +
      'SUBSCRIPTION_ENDED frame, and the connection stays.',
    parameters: [
      {
        name: 'ticket',
        in: 'query' as const,
        required: false,
        schema: { type: 'string' },
        description: 'Stands in for credentials, once.',
      },
    ],
    'x-taskbridge-transport': 'websocket',
    responses: {
      101: { description: 'Switching Protocols' },
      401: errorAnswer('AUTHENTICATION_ERROR'),
      503: errorAnswer('SERVICE_UNAVAILABLE while shutting down, or when the guards do not decide in time'),
    },
  };
  return { ...document, paths: { ...document.paths, [path]: { get: upgrade } } };
}

function errorAnswer(description: string) {
  return { description, content: { 'application/json': { schema: { $ref: '#/components/schemas/ErrorResponse' } } } };
}
