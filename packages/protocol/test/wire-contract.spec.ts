import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { parse } from 'yaml';
import { wireContractDir } from '../../../test/support/wire-contract.js';
import { mutationsOf } from './support/mutations.js';
import { payloadCases } from './support/payload-cases.js';
import { accepts, fixtures, isObject, readJson, schemaNames, shippedSchemas } from './support/schemas.js';

const origin = 'https://contract.invalid';
const openApi = `${origin}/openapi/taskbridge.openapi.yaml#/components/schemas`;

/** Where the contract describes what each shipped schema describes; the others are additions to it. */
const counterparts: Record<string, string> = {
  'task-event': `${origin}/schemas/task_event.schema.json`,
  'task-client-action': `${origin}/schemas/task_client_action.schema.json`,
  'task-client-action-response': `${origin}/schemas/task_client_action_response.schema.json`,
  'task-create-request': `${openApi}/TaskCreateJsonRequest`,
  'task-created-response': `${openApi}/TaskCreatedResponse`,
  'poll-events-response': `${openApi}/PollEventsResponse`,
  'cancel-task-request': `${openApi}/CancelTaskRequest`,
  'cancel-task-response': `${openApi}/CancelTaskResponse`,
  'error-envelope': `${openApi}/ErrorResponse`,
  'websocket-subscribe-request': `${openApi}/WebSocketSubscribeRequest`,
  'websocket-subscription-confirmed': `${openApi}/WebSocketSubscriptionConfirmed`,
  'websocket-heartbeat': `${openApi}/WebSocketHeartbeat`,
};
const additions = [
  'event-gap',
  'sse-heartbeat',
  'stream-ticket',
  'task-diagnosis',
  'task-list',
  'task-snapshot',
  'websocket-gap',
  'websocket-multiplex-heartbeat',
  'websocket-subscription-ended',
  'websocket-unsubscribe-request',
];

const cursors = /(^|\.)(eventId|nextAfterEventId|lastEventId|replayStartedAfterEventId)$/;

const addedToSubscribe = ['gap', 'multiplex', 'ticket'];

/** Where the shipped schemas refuse more on purpose: the grammar of cursors, additions to the subscribe, unknown fields of a create. */
function isNarrowed(schema: string, at: string): boolean {
  return cursors.test(at) || addedToSubscribe.includes(at) || (schema === 'task-create-request' && at === 'unheardOf');
}

function contractSchemas(dir: string): Ajv2020 {
  const ajv = new Ajv2020({ strict: false });
  ajvFormats.default(ajv);
  for (const file of readdirSync(path.join(dir, 'schemas'))) {
    ajv.addSchema(readJson(path.join(dir, 'schemas', file)), `${origin}/schemas/${file}`);
  }
  const document: unknown = parse(readFileSync(path.join(dir, 'openapi', 'taskbridge.openapi.yaml'), 'utf8'));
  if (!isObject(document)) {
    throw new TypeError('The OpenAPI document is not an object');
  }
  ajv.addSchema(document, `${origin}/openapi/taskbridge.openapi.yaml`);
  return ajv;
}

function schemaOfExample(file: string): string {
  const name = file.replace(/\.json$/, '').replaceAll('_', '-');
  if (name === 'websocket-subscribe-ack') {
    return 'websocket-subscription-confirmed';
  }
  return schemaNames.includes(name) ? name : 'task-event';
}

const dir = wireContractDir();
const describeContract = dir === undefined ? describe.skip : describe;

describeContract(
  'against the wire contract (runs only where TASKBRIDGE_WIRE_CONTRACT or ../shared/protocol holds it)',
  () => {
    const ajv = shippedSchemas();
    const contract = dir === undefined ? new Ajv2020() : contractSchemas(dir);
    const examples = dir === undefined ? [] : readdirSync(path.join(dir, 'examples'));

    it('every example is accepted by a shipped schema', () => {
      const refused = examples.filter((file) => !accepts(ajv, schemaOfExample(file), readExample(file)));
      expect(refused).toEqual([]);
      expect(examples.length).toBeGreaterThanOrEqual(12);
    });

    it('every fixture is accepted by the contract', () => {
      const shared = fixtures.filter(({ schema }) => !additions.includes(schema));
      const refused = shared.filter(({ schema, value }) => !contractAccepts(schema, value));
      expect(refused).toEqual([]);
    });

    it('every shipped schema has a counterpart or is a known addition', () => {
      expect([...Object.keys(counterparts), ...additions].toSorted()).toEqual(schemaNames);
    });

    it('both judge every payload alike', () => {
      const envelopes = payloadCases.map(({ type, payload }) => ({
        type,
        taskId: 't-1',
        eventId: '3-0',
        createdAt: '2027-01-31T08:00:00Z',
        payload,
      }));
      const disputed = envelopes.filter(
        (event) => accepts(ajv, 'task-event', event) !== contractAccepts('task-event', event),
      );
      expect(disputed).toEqual([]);
    });

    it('both judge alike every document one change away from an example or a fixture, except where the shipped are narrower', () => {
      const documents = [
        ...fixtures.filter(({ schema }) => !additions.includes(schema)),
        ...examples.map((file) => ({ name: file, schema: schemaOfExample(file), value: readExample(file) })),
      ];
      const disputed = documents.flatMap(({ name, schema, value }) =>
        mutationsOf(value)
          .filter((change) => accepts(ajv, schema, change.value) !== contractAccepts(schema, change.value))
          .map(({ label, path: at, value: changed }) => ({
            name,
            label,
            schema,
            at,
            isNarrower: contractAccepts(schema, changed),
          })),
      );
      expect(disputed.filter(({ schema, at, isNarrower }) => !isNarrower || !isNarrowed(schema, at))).toEqual([]);
    });

    function readExample(file: string): unknown {
      return readJson(path.join(dir ?? '', 'examples', file));
    }

    function contractAccepts(schema: string, value: unknown): boolean {
      const validate = contract.getSchema(counterparts[schema] ?? '');
      if (validate === undefined) {
        throw new Error(`The contract has no counterpart of ${schema}`);
      }
      return validate(value) === true;
    }
  },
);
