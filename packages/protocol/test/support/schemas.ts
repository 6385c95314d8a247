import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';

const schemasDir = new URL('../../schemas/', import.meta.url);
const fixturesDir = new URL('../fixtures/', import.meta.url);

export interface Fixture {
  /** `<schema>.<case>`. */
  name: string;
  schema: string;
  value: Record<string, unknown>;
}

/** Tells whether a parsed document is an object, which every schema, fixture and example is. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a JSON file that holds an object. */
export function readJson(file: URL | string): Record<string, unknown> {
  const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!isObject(value)) {
    throw new TypeError(`Not a JSON object: ${String(file)}`);
  }
  return value;
}

/** Names of the shipped schemas without `.schema.json`, sorted. */
export const schemaNames = readdirSync(schemasDir)
  .map((file) => file.replace(/\.schema\.json$/, ''))
  .toSorted();

/** Every fixture with the schema its name starts with. */
export const fixtures: Fixture[] = readdirSync(fixturesDir)
  .toSorted()
  .map((file) => ({
    name: file.replace(/\.json$/, ''),
    schema: file.slice(0, file.indexOf('.')),
    value: readJson(new URL(file, fixturesDir)),
  }));

/** A validator with every shipped schema, found by file name. It is strict: an unknown keyword or format, or a keyword without its type, is an error. */
export function shippedSchemas(): Ajv2020 {
  const ajv = new Ajv2020({ strict: true, strictRequired: false });
  ajvFormats.default(ajv);
  for (const name of schemaNames) {
    ajv.addSchema(readJson(new URL(`${name}.schema.json`, schemasDir)));
  }
  return ajv;
}

/** Whether a shipped schema accepts a value. */
export function accepts(ajv: Ajv2020, schema: string, value: unknown): boolean {
  return ajv.validate(`${schema}.schema.json`, value);
}
