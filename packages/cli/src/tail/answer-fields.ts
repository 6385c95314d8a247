import { isRecord } from '../is-record.js';

/** The parts of a JSON Schema that decide how an answer is asked for; the server checks the rest. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A property of the answer. */
export interface Field {
  name: string;
  schema: JsonSchema;
  isRequired: boolean;
}

/** What makes a schema more than a list of properties. */
const COMBINING = [
  '$ref',
  '$dynamicRef',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'if',
  'dependentSchemas',
  'patternProperties',
];

/** The object's properties, in the schema's order; `undefined` where they are not all that there is to say. */
export function fieldsOf(schema: JsonSchema): Field[] | undefined {
  const { properties, required } = schema;
  const names: unknown[] = Array.isArray(required) ? required : [];
  if (!isRecord(properties) || isCombined(schema)) return undefined;
  const fields = Object.entries(properties).map(([name, property]) => ({
    name,
    schema: isRecord(property) ? property : {},
    isRequired: names.includes(name),
  }));
  return fields.length > 0 && names.every((name) => Object.hasOwn(properties, String(name))) ? fields : undefined;
}

/** Tells whether nothing but an empty object can be said. */
export function isAlwaysEmpty(schema: JsonSchema): boolean {
  const { properties = {}, additionalProperties, maxProperties } = schema;
  if (maxProperties === 0) return true;
  const isClosed = additionalProperties === false && isRecord(properties) && Object.keys(properties).length === 0;
  return isClosed && !isCombined(schema);
}

function isCombined(schema: JsonSchema): boolean {
  return COMBINING.some((keyword) => Object.hasOwn(schema, keyword));
}
