import { ValidateBy, ValidateIf } from 'class-validator';
import { isStorableText } from '../../services/command-checks.js';

/** Absent is fine; `null` is not absent. */
export const Optional = (): PropertyDecorator => ValidateIf((_dto, value) => value !== undefined);

/** Text of `min` to `max` characters that can be stored. */
export const IsText = (max: number, min = 1): PropertyDecorator =>
  rule(
    'isText',
    `must be text of ${min} to ${max} characters, without NUL or half a surrogate pair`,
    (value) => typeof value === 'string' && value.length >= min && value.length <= max && isStorableText(value),
  );

/** A JSON object: not an array, not `null`. */
export const IsJsonObject = (): PropertyDecorator =>
  rule(
    'isJsonObject',
    'must be a JSON object',
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  );

/** An integer; query texts are numbers by then. */
export const IsIntegerIn = (min: number, max: number): PropertyDecorator =>
  rule(
    'isIntegerIn',
    `must be an integer from ${min} to ${max}`,
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max,
  );

export const IsOneOf = (values: readonly unknown[]): PropertyDecorator =>
  rule('isOneOf', `must be one of ${values.join(', ')}`, (value) => values.includes(value));

function rule(name: string, message: string, validate: (value: unknown) => boolean): PropertyDecorator {
  return ValidateBy({ name, validator: { validate, defaultMessage: () => message } });
}
