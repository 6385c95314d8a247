import type { Type } from '@nestjs/common';
import { validateSync, type ValidationError } from 'class-validator';
import { TaskBridgeError, validationError, type FieldProblem } from '../taskbridge.errors.js';
import { findJsonProblem } from './json-limits.js';

/** What a DTO holds, without being an instance of it. */
export type Fields<T> = { [K in keyof T]: T[K] };

/** Reads a body as `Dto`; rejects unknown, missing, malformed and too deeply nested fields alike with one 422 that lists them. */
export function readBody<T extends object>(Dto: Type<T>, body: unknown, maxDepth: number): Fields<T> {
  if (!isRecord(body)) throw validationError([{ field: 'body', message: 'must be a JSON object' }]);
  const fields = Object.entries(body);
  const problems = fields.flatMap(([field, value]) => findJsonProblem(field, value, maxDepth) ?? []);
  return check(Dto, fields, problems);
}

/** How the text of a query parameter becomes its value; text that does not fit stays and fails its rule. */
export const asText = (text: unknown): unknown => text;
export const asInteger = (text: unknown): unknown =>
  typeof text === 'string' && /^-?\d{1,9}$/.test(text) ? Number(text) : text;
export const asBoolean = (text: unknown): unknown => (text === 'true' ? true : text === 'false' ? false : text);

/** Reads the query parameters that `Dto` knows, each by its conversion, and ignores the others. */
export function readQuery<T extends object>(
  Dto: Type<T>,
  query: unknown,
  conversions: Record<keyof T & string, (text: unknown) => unknown>,
): Fields<T> {
  const source = isRecord(query) ? query : {};
  const known = Object.entries<(text: unknown) => unknown>(conversions).filter(([name]) => source[name] !== undefined);
  const fields = known.map(([name, convert]) => [name, convert(source[name])] as const);
  return check(Dto, fields, []);
}

/** A cursor of the query as text; one that was repeated, or anything else that is not text, is `INVALID_CURSOR`. */
export function readCursor(query: unknown, name: string): string | undefined {
  const value = isRecord(query) ? query[name] : undefined;
  if (value === undefined || value === '') return undefined;
  if (typeof value === 'string') return value;
  throw new TaskBridgeError('INVALID_CURSOR', `${name} is not a cursor`);
}

function check<T extends object>(
  Dto: Type<T>,
  fields: readonly (readonly [string, unknown])[],
  found: FieldProblem[],
): T {
  const dto = new Dto();
  // On the DTO these would hide what every object has: its prototype, its `constructor`.
  const [unusable, usable] = [fields.filter(isInherited), fields.filter((field) => !isInherited(field))];
  Object.assign(dto, Object.fromEntries(usable));
  const errors = validateSync(dto, { whitelist: true, forbidNonWhitelisted: true, validationError: { target: false } });
  const problems = [
    ...errors.map(problemOf),
    ...unusable.map(([field]) => ({ field, message: UNKNOWN_FIELD })),
    ...found.filter(({ field }) => !errors.some((error) => error.property === field) && !(field in Object.prototype)),
  ];
  if (problems.length > 0) throw validationError(problems);
  return dto;
}

function isInherited([field]: readonly [string, unknown]): boolean {
  return field in Object.prototype;
}

const UNKNOWN_FIELD = 'is not a known field';

function problemOf(error: ValidationError): FieldProblem {
  const constraints = error.constraints ?? {};
  const message = 'whitelistValidation' in constraints ? UNKNOWN_FIELD : Object.values(constraints).join(', ');
  return { field: error.property, message };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
