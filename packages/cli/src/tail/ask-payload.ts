import { confirm, isCancel, select, text } from '@clack/prompts';
import type { JsonObject } from '@taskbridge/protocol';
import { printableLine } from '../printable.js';
import type { Asking } from './ask-person.js';

type Screen = Pick<Asking, 'terminal' | 'signal'>;

/** The part of a JSON Schema that decides how a field is asked for; the server checks the rest. */
interface FieldSchema {
  type?: unknown;
  enum?: unknown;
  title?: unknown;
  description?: unknown;
}

interface Field {
  name: string;
  schema: FieldSchema;
  isRequired: boolean;
}

const OMITTED = Symbol('omitted');
const LEAVE = Symbol('leave');

/** Asks for each field of an action's schema. Without one there is no payload; where it is no list of fields, JSON is asked for. */
export async function askPayload(schema: unknown, screen: Screen): Promise<JsonObject | undefined | 'leave'> {
  if (!isRecord(schema)) return undefined;
  if (!isRecord(schema['properties'])) return askDocument(screen);
  const payload: JsonObject = {};
  for (const field of fieldsOf(schema['properties'], schema['required'])) {
    const value = await askField(field, screen);
    if (value === LEAVE) return 'leave';
    if (value !== OMITTED) payload[field.name] = value;
  }
  return payload;
}

function fieldsOf(properties: Record<string, unknown>, required: unknown): Field[] {
  const names: unknown[] = Array.isArray(required) ? required : [];
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    schema: isRecord(schema) ? schema : {},
    isRequired: names.includes(name),
  }));
}

async function askField(field: Field, screen: Screen): Promise<unknown> {
  const { schema, isRequired } = field;
  const common = { ...screen.terminal, signal: screen.signal, message: labelOf(field) };
  if (Array.isArray(schema.enum)) {
    const choices = schema.enum.map((value, index) => ({ value: index, label: printableLine(textOf(value)) }));
    const none = isRequired ? [] : [{ value: -1, label: 'nothing' }];
    const index = await select({ ...common, options: [...choices, ...none] });
    if (isCancel(index)) return LEAVE;
    return index === -1 ? OMITTED : schema.enum[index];
  }
  if (schema.type === 'boolean') {
    const value = await confirm(common);
    return isCancel(value) ? LEAVE : value;
  }
  const answer = await text({ ...common, validate: (given = '') => problemOf(field, given) });
  if (isCancel(answer)) return LEAVE;
  return valueOf(field, answer ?? '');
}

async function askDocument({ terminal, signal }: Screen): Promise<JsonObject | undefined | 'leave'> {
  const field: Field = { name: 'payload', schema: { type: 'object' }, isRequired: false };
  const given = await askField(field, { terminal, signal });
  if (given === LEAVE) return 'leave';
  return given === OMITTED ? undefined : (given as JsonObject);
}

function problemOf(field: Field, given: string): string | undefined {
  if (given === '') return field.isRequired && field.schema.type !== 'string' ? 'It is needed' : undefined;
  try {
    const value = valueOf(field, given);
    return field.schema.type === 'object' && !isRecord(value) ? 'It must be a JSON object' : undefined;
  } catch {
    return field.schema.type === 'number' || field.schema.type === 'integer'
      ? 'It must be a number'
      : 'It must be JSON';
  }
}

/** Throws for what is no value of the field. */
function valueOf({ schema: { type }, isRequired }: Field, given: string): unknown {
  if (given === '' && !isRequired) return OMITTED;
  if (type === 'string') return given;
  if (type !== 'number' && type !== 'integer') return JSON.parse(given) as unknown;
  const value = Number(given);
  if (given.trim() === '' || !Number.isFinite(value)) throw new RangeError('Not a number');
  return value;
}

function labelOf({ name, schema, isRequired }: Field): string {
  const title = [schema.title, schema.description].find((words) => typeof words === 'string' && words !== '');
  const kind =
    ['string', 'boolean'].includes(String(schema.type)) || schema.enum ? '' : ` (${textOf(schema.type ?? 'JSON')})`;
  return printableLine(
    `${title === undefined ? name : `${name}: ${textOf(title)}`}${kind}${isRequired ? '' : ', optional'}`,
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
