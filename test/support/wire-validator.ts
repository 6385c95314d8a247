import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { parse as parseYaml } from 'yaml';
import { wireContractDir } from './wire-contract.js';

const ownSchemas = fileURLToPath(new URL('../../packages/protocol/schemas', import.meta.url));
const ownOpenApi = fileURLToPath(new URL('../../docs/openapi.json', import.meta.url));

/** A frame or body and the schema of ours that it has to satisfy. */
export type WireSchema =
  | 'task-event'
  | 'task-created-response'
  | 'task-snapshot'
  | 'task-list'
  | 'task-diagnosis'
  | 'poll-events-response'
  | 'cancel-task-response'
  | 'task-client-action-response'
  | 'error-envelope'
  | 'websocket-subscription-confirmed'
  | 'websocket-heartbeat'
  | 'websocket-gap'
  | 'websocket-subscription-ended'
  | 'websocket-multiplex-heartbeat'
  | 'stream-ticket'
  | 'event-gap'
  | 'sse-heartbeat';

interface OpenApiDocument {
  paths: Record<string, Record<string, OpenApiOperation | undefined> | undefined>;
}

interface OpenApiOperation {
  responses: Record<string, unknown>;
}

/** Checks what a server sent against our schemas and OpenAPI, and against the existing clients' where they are at hand. */
export class WireValidator {
  readonly checked = { bodies: 0, frames: 0, againstClients: 0 };
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });
  private readonly openApi: { base: string; document: OpenApiDocument }[] = [];
  private readonly clientEvent: ValidateFunction | undefined;

  constructor() {
    ajvFormats.default(this.ajv);
    for (const file of readdirSync(ownSchemas)) this.ajv.addSchema(readJson(path.join(ownSchemas, file)));
    this.addOpenApi('https://own.test/openapi/openapi.json', JSON.parse(readFileSync(ownOpenApi, 'utf8')));
    const clients = wireContractDir();
    if (clients === undefined) return;
    for (const file of readdirSync(path.join(clients, 'schemas'))) {
      this.ajv.addSchema(readJson(path.join(clients, 'schemas', file)), `https://clients.test/schemas/${file}`);
    }
    const yaml = readFileSync(path.join(clients, 'openapi', 'taskbridge.openapi.yaml'), 'utf8');
    this.addOpenApi('https://clients.test/openapi/taskbridge.openapi.yaml', parseYaml(yaml));
    this.clientEvent = this.ajv.getSchema('https://clients.test/schemas/task_event.schema.json');
  }

  /** A body that answered `method` on `route`, the route in OpenAPI's form (`/api/v1/tasks/{taskId}`). */
  body(schema: WireSchema, method: string, route: string, status: number, body: unknown): void {
    this.assert(this.ajv.getSchema(`${schema}.schema.json`), `${method} ${route} ${status}`, body);
    for (const { base, document } of this.openApi) {
      const operation = document.paths[route]?.[method.toLowerCase()];
      const isOurs = base.startsWith('https://own');
      if (operation === undefined && !isOurs) continue;
      if (operation === undefined) throw new Error(`Our OpenAPI does not have ${method} ${route}`);
      if (operation.responses[String(status)] === undefined) {
        if (isOurs) throw new Error(`Our OpenAPI does not have ${method} ${route} ${status}`);
        continue;
      }
      this.assert(this.responseSchema(base, document, route, method, status), `${base} ${method} ${route}`, body);
      if (!isOurs) this.checked.againstClients += 1;
    }
    this.checked.bodies += 1;
  }

  /** A frame of a stream. */
  frame(schema: WireSchema, frame: unknown): void {
    this.assert(this.ajv.getSchema(`${schema}.schema.json`), `${schema} frame`, frame);
    if (schema === 'task-event' && this.clientEvent !== undefined) {
      this.assert(this.clientEvent, 'the existing clients’ event schema', frame);
      this.checked.againstClients += 1;
    }
    this.checked.frames += 1;
  }

  private addOpenApi(base: string, document: OpenApiDocument): void {
    this.openApi.push({ base, document });
    this.ajv.addSchema({ ...document, $id: base });
  }

  private responseSchema(
    base: string,
    document: OpenApiDocument,
    route: string,
    method: string,
    status: number,
  ): ValidateFunction | undefined {
    const pointer = ['paths', route, method.toLowerCase(), 'responses', String(status)];
    const response = document.paths[route]?.[method.toLowerCase()]?.responses[String(status)] as { $ref?: string };
    const at = response.$ref ?? `#/${pointer.map(escapePointer).join('/')}`;
    return this.ajv.compile({ $ref: `${base}${at}/content/application~1json/schema` });
  }

  private assert(validate: ValidateFunction | undefined, what: string, value: unknown): void {
    if (validate === undefined) throw new Error(`No schema for ${what}`);
    if (validate(value)) return;
    throw new Error(`${what} does not validate: ${this.ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`);
  }
}

function readJson(file: string): object {
  return JSON.parse(readFileSync(file, 'utf8')) as object;
}

function escapePointer(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
}
