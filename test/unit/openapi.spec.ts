import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createOpenApiDocument } from '@taskbridge/nestjs/swagger';
import { parse } from 'yaml';
import { wireContractDir } from '../support/wire-contract.js';

type Schema = { $ref?: string; properties?: Record<string, unknown>; required?: string[] };

interface Operation {
  parameters?: { $ref?: string; name?: string }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; parameters?: Record<string, { name: string }> };
}

const checkedIn = fileURLToPath(new URL('../../docs/openapi.json', import.meta.url));
const contract = wireContractDir();

/** Every operation of a document with its path. */
const operations = ({ paths }: Document): [string, Operation][] =>
  Object.entries(paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${route}`, operation]),
  );

describe('the OpenAPI document', () => {
  let document: Document;

  beforeAll(async () => {
    document = JSON.parse(JSON.stringify(await createOpenApiDocument())) as Document;
  });

  it('is the one that is checked in (npm run build && npm run openapi)', () => {
    expect(document).toEqual(JSON.parse(readFileSync(checkedIn, 'utf8')));
  });

  it('describes every route with its parameters', () => {
    expect(
      operations(document)
        .map(([name]) => name)
        .toSorted(),
    ).toEqual([
      'get /api/v1/tasks',
      'get /api/v1/tasks/ws',
      'get /api/v1/tasks/{taskId}',
      'get /api/v1/tasks/{taskId}/diagnosis',
      'get /api/v1/tasks/{taskId}/events',
      'get /api/v1/tasks/{taskId}/events/stream',
      'get /health',
      'get /ready',
      'post /api/v1/tasks',
      'post /api/v1/tasks/{taskId}/actions',
      'post /api/v1/tasks/{taskId}/cancel',
      'post /api/v1/tasks/{taskId}/tickets',
    ]);
    for (const [name, { parameters = [] }] of operations(document)) {
      expect(parameters.some((parameter) => parameter.name === 'taskId')).toBe(name.includes('{taskId}'));
    }
  });

  it('answers every refusal with the error envelope', () => {
    const refusals = operations(document).flatMap(([name, { responses }]) =>
      Object.entries(responses)
        .filter(([status]) => Number(status) >= 400 && name !== 'get /ready')
        .map(([status, { content }]) => `${name} ${status} ${content?.['application/json']?.schema.$ref}`),
    );
    expect(refusals.length).toBeGreaterThan(30);
    expect(refusals.filter((refusal) => !refusal.endsWith('/ErrorResponse'))).toEqual([]);
  });

  it('refers only to components that it has', () => {
    const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
      ([, name]) => name,
    );
    expect(references.filter((name) => name === undefined || !document.components.schemas[name])).toEqual([]);
  });

  (contract === undefined ? describe.skip : describe)(
    'beside the one of the existing clients (runs only where their contract is)',
    () => {
      const clients =
        contract &&
        (parse(readFileSync(path.join(contract, 'openapi', 'taskbridge.openapi.yaml'), 'utf8')) as Document);
      const theirs = clients ? operations(clients) : [];

      it.each(theirs)('keeps the statuses, parameters and bodies of %s', (name, operation) => {
        const ours = Object.fromEntries(operations(document))[name];
        expect(Object.keys(ours?.responses ?? {})).toEqual(expect.arrayContaining(Object.keys(operation.responses)));
        const names = (operation.parameters ?? []).map(({ $ref = '' }) => {
          const key = $ref.split('/').at(-1) ?? '';
          return clients ? clients.components.parameters?.[key]?.name : undefined;
        });
        expect((ours?.parameters ?? []).map((parameter) => parameter.name)).toEqual(expect.arrayContaining(names));
        const bodies = Object.keys(operation.requestBody?.content ?? {});
        expect(Object.keys(ours?.requestBody?.content ?? {})).toEqual(expect.arrayContaining(bodies));
      });

      it('keeps every field of their components, and asks for no more in requests', () => {
        for (const [name, schema] of Object.entries(clients ? clients.components.schemas : {})) {
          const ours = document.components.schemas[name];
          if (!ours || !schema.properties) continue;
          expect(Object.keys(ours.properties ?? {})).toEqual(expect.arrayContaining(Object.keys(schema.properties)));
          if (name.endsWith('Request'))
            expect(schema.required ?? []).toEqual(expect.arrayContaining(ours.required ?? []));
          else expect(ours.required ?? []).toEqual(expect.arrayContaining(schema.required ?? []));
        }
      });
    },
  );
});
