import type { Type } from '@nestjs/common';
import {
  ApiExtraModels,
  ApiHeader,
  ApiOperation,
  ApiParam,
  ApiQuery,
  ApiResponse,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import { ErrorResponse } from './response.models.js';
import { REFUSALS, type RouteBody, type RouteDescription, ROUTES } from './route-descriptions.js';

/** Nest's own metadata key of controllers and handlers. */
const PATH_METADATA = 'path';

/**
 * Describes the library's routes to `SwaggerModule.createDocument`: pass it as
 * `controllerDecorators: [decorateForSwagger]`. Without it the routes are listed bare.
 */
export const decorateForSwagger: ClassDecorator = (controller) => {
  const prototype = controller.prototype as object;
  for (const [name, route] of Object.entries(ROUTES)) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
    if (!descriptor) continue;
    const decorators = [...pathParams(controller, descriptor), ...describe(name, route)];
    for (const decorate of decorators) decorate(prototype, name, descriptor);
  }
};

function describe(operationId: string, route: RouteDescription): MethodDecorator[] {
  const { tag, summary, description, query = [], header, body } = route;
  return [
    ApiTags(tag),
    ApiOperation({
      operationId,
      summary,
      ...(description !== undefined && { description }),
      ...(body && { requestBody: { required: body.required, content: bodyContent(body) } }),
    }),
    ...(body ? [ApiExtraModels(...bodyModels(body))] : []),
    ...query.map((parameter) => ApiQuery(parameter)),
    ...(header ? [ApiHeader({ ...header, required: false })] : []),
    ...answers(route),
  ];
}

function bodyModels({ json, multipart }: RouteBody): Type[] {
  return multipart ? [json, multipart] : [json];
}

function bodyContent({ json, multipart }: RouteBody): Record<string, { schema: { $ref: string } }> {
  return { 'application/json': reference(json), ...(multipart && { 'multipart/form-data': reference(multipart) }) };
}

function reference(model: Type): { schema: { $ref: string } } {
  return { schema: { $ref: getSchemaPath(model) } };
}

function answers({ answers: described, refusals }: RouteDescription): MethodDecorator[] {
  const success = Object.entries(described).map(([status, { description, model, contentType }]) =>
    ApiResponse({
      status: Number(status),
      description,
      ...(model && { type: model }),
      ...(contentType && { content: { [contentType]: { schema: { type: 'string' } } } }),
    }),
  );
  return [
    ...success,
    ...refusals.map((status) => ApiResponse({ status, description: REFUSALS[status] ?? '', type: ErrorResponse })),
  ];
}

/** The handlers take the whole request, so Swagger cannot see the parameters of their paths. */
function pathParams(controller: object, { value: handler }: PropertyDescriptor): MethodDecorator[] {
  const paths = [Reflect.getMetadata(PATH_METADATA, controller), Reflect.getMetadata(PATH_METADATA, handler)];
  const names = paths.flat().flatMap((path) => [...String(path).matchAll(/:(\w+)/g)].map(([, name]) => name));
  return names.flatMap((name) =>
    name === undefined ? [] : [ApiParam({ name, required: true, schema: { type: 'string' } })],
  );
}
