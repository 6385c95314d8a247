import { isDateTime } from './date-time.js';
import { type FieldCheck, isJsonObject } from './object-shape.js';

/** Any JSON value, `null` included: only the member's presence counts. */
export const anything: FieldCheck = () => undefined;

/** Text, the empty one included. */
export const text: FieldCheck = (value) => (typeof value === 'string' ? undefined : 'must be a string');

/** `true` or `false`, never a number or text that stands for one. */
export const flag: FieldCheck = (value) => (typeof value === 'boolean' ? undefined : 'must be a boolean');

/** A JSON object with any members. */
export const jsonObject: FieldCheck = (value) => (isJsonObject(value) ? undefined : 'must be an object');

/** An instant as RFC 3339 text. */
export const dateTime: FieldCheck = (value) =>
  typeof value === 'string' && isDateTime(value) ? undefined : 'must be an RFC 3339 date-time';

/** An instant as RFC 3339 text, or `null` for none. */
export const dateTimeOrNull: FieldCheck = (value) => (value === null ? undefined : dateTime(value));

/** A finite number in 0..100; fractions count. */
export const percentage: FieldCheck = (value) =>
  typeof value === 'number' && value >= 0 && value <= 100 ? undefined : 'must be a number from 0 to 100';

/** A whole number from 1. */
export const version: FieldCheck = (value) =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 ? undefined : 'must be an integer from 1';

/** An array of one or more strings; holes do not count as strings. */
export const texts: FieldCheck = (value) => (isTexts(value) ? undefined : 'must be a non-empty array of strings');

/** Text of a given form; `form` completes the sentence "must be". */
export function textLike(pattern: RegExp, form: string): FieldCheck {
  return (value) => (typeof value === 'string' && pattern.test(value) ? undefined : `must be ${form}`);
}

/** One of a few texts, spelt exactly. */
export function oneOf(values: readonly string[]): FieldCheck {
  const message = `must be one of ${values.join(', ')}`;
  return (value) => (typeof value === 'string' && values.includes(value) ? undefined : message);
}

function isTexts(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) {
    return false;
  }
  for (const item of value) {
    if (typeof item !== 'string') {
      return false;
    }
  }
  return true;
}
