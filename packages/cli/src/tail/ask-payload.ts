import { confirm, isCancel, select, text } from '@clack/prompts';
import type { JsonObject } from '@taskbridge/protocol';
import { describeError } from '../describe-error.js';
import { isRecord } from '../is-record.js';
import { printableLine, textOf } from '../printable.js';
import { type Field, fieldsOf, isAlwaysEmpty, type JsonSchema } from './answer-fields.js';
import type { Asking } from './ask-person.js';

type Screen = Pick<Asking, 'terminal' | 'signal'>;

const OMITTED = Symbol('omitted');
const LEAVE = Symbol('leave');
/** The place of a choice that is none. */
const NOTHING = -1;

/**
 * Asks for each field of an action's schema, and for the whole as JSON where it is no list of fields. Nothing is asked
 * where there is no schema, and then there is no payload, or where the schema leaves nothing to say.
 */
export async function askPayload(schema: unknown, screen: Screen): Promise<JsonObject | undefined | 'leave'> {
  if (!isRecord(schema)) return undefined;
  if (isAlwaysEmpty(schema)) return {};
  const fields = fieldsOf(schema);
  if (!fields) return askDocument(schema, screen);
  const members: [name: string, value: unknown][] = [];
  for (const field of fields) {
    const value = await askField(field, screen);
    if (value === LEAVE) return 'leave';
    if (value !== OMITTED) members.push([field.name, value]);
  }
  return Object.fromEntries(members);
}

async function askDocument(schema: JsonSchema, screen: Screen): Promise<JsonObject | 'leave'> {
  const isRequired = Array.isArray(schema['required']) && schema['required'].length > 0;
  const given = await askText({ name: 'payload', schema: { ...schema, type: 'object' }, isRequired }, screen);
  if (given === LEAVE) return 'leave';
  return given === OMITTED ? {} : (given as JsonObject);
}

async function askField(field: Field, screen: Screen): Promise<unknown> {
  const choices = choicesOf(field);
  if (choices) return askChoice(field, choices, screen);
  return field.schema['type'] === 'boolean' ? askWhether(field, screen) : askText(field, screen);
}

/** `undefined`: it is not one of few. What is optional and true or false has three answers. */
function choicesOf({ schema, isRequired }: Field): readonly unknown[] | undefined {
  if ('const' in schema) return [schema['const']];
  if (Array.isArray(schema['enum']) && schema['enum'].length > 0) return schema['enum'];
  return schema['type'] === 'boolean' && !isRequired ? [true, false] : undefined;
}

async function askChoice(field: Field, choices: readonly unknown[], screen: Screen): Promise<unknown> {
  const options = choices.map((choice, index) => ({ value: index, label: printableLine(choice) }));
  const none = field.isRequired ? [] : [{ value: NOTHING, label: 'nothing' }];
  const index = await select({ ...prompt(field, screen), options: [...none, ...options] });
  if (isCancel(index)) return LEAVE;
  return index === NOTHING ? OMITTED : choices[index];
}

async function askWhether(field: Field, screen: Screen): Promise<unknown> {
  const value = await confirm(prompt(field, screen));
  return isCancel(value) ? LEAVE : value;
}

async function askText(field: Field, screen: Screen): Promise<unknown> {
  const answer = await text({ ...prompt(field, screen), validate: (given = '') => problemOf(field, given) });
  return isCancel(answer) ? LEAVE : valueOf(field, answer ?? '');
}

function prompt(
  field: Field,
  { terminal, signal }: Screen,
): Screen['terminal'] & { signal: AbortSignal; message: string } {
  return { ...terminal, signal, message: labelOf(field) };
}

function problemOf(field: Field, given: string): string | undefined {
  try {
    valueOf(field, given);
    return undefined;
  } catch (error) {
    return printableLine(describeError(error));
  }
}

/** Throws for what is no value of the field, with what it must be. */
function valueOf({ schema: { type }, isRequired }: Field, given: string): unknown {
  if (given === '' && !isRequired) return OMITTED;
  if (type === 'string') return given;
  if (given.trim() === '') throw new Error('It is needed');
  return type === 'number' || type === 'integer' ? numberOf(type, given) : jsonOf(type, given);
}

function numberOf(type: 'number' | 'integer', given: string): number {
  const value = Number(given);
  if (!Number.isFinite(value)) throw new Error('It must be a number');
  if (type === 'integer' && !Number.isInteger(value)) throw new Error('It must be a whole number');
  return value;
}

function jsonOf(type: unknown, given: string): unknown {
  const value = parsed(given);
  if (type === 'object' && !isRecord(value)) throw new Error('It must be a JSON object');
  return value;
}

function parsed(given: string): unknown {
  try {
    return JSON.parse(given);
  } catch (error) {
    throw new Error(`It must be JSON: ${describeError(error)}`, { cause: error });
  }
}

function labelOf({ name, schema, isRequired }: Field): string {
  const title = [schema['title'], schema['description']].find((words) => typeof words === 'string' && words !== '');
  const label = title === undefined ? name : `${name}: ${textOf(title)}`;
  return printableLine(`${label}${kindOf(schema)}${isRequired ? '' : ', optional'}`);
}

/** Where it does not show by itself what to type. */
function kindOf({ type, enum: choices, const: only }: JsonSchema): string {
  if (type === 'string' || type === 'boolean' || choices !== undefined || only !== undefined) return '';
  if (type === 'number' || type === 'integer') return ` (${type})`;
  return type === undefined ? ' (JSON)' : ` (${textOf(type)} as JSON)`;
}
