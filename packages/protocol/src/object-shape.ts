/** One reason a value is not valid: `field` is the dotted path from the checked value, empty for the value itself. */
export interface PayloadProblem {
  field: string;
  message: string;
}

/** Returns what a present value must be when it is not, `undefined` when it is. */
export type FieldCheck = (value: unknown) => string | undefined;

/** The members an object must and may have; others are refused unless it is open. */
export interface ObjectShape {
  readonly checks: ReadonlyMap<string, FieldCheck>;
  readonly required: ReadonlySet<string>;
  readonly isOpen: boolean;
}

/** Describes an object that refuses members it does not name. */
export function closedObject(
  required: Record<string, FieldCheck>,
  optional: Record<string, FieldCheck> = {},
): ObjectShape {
  return {
    checks: new Map(Object.entries({ ...required, ...optional })),
    required: new Set(Object.keys(required)),
    isOpen: false,
  };
}

/** Describes an object that allows members it does not name, with any value. */
export function openObject(required: Record<string, FieldCheck>): ObjectShape {
  return { ...closedObject(required), isOpen: true };
}

/**
 * Judges the object as its JSON text would read: own enumerable members only, and those `JSON.stringify` leaves out
 * count as absent. Problems come in the order of the shape, then members it does not name.
 */
export function checkObject(value: unknown, shape: ObjectShape): PayloadProblem[] {
  if (!isJsonObject(value)) {
    return [{ field: '', message: 'must be an object' }];
  }
  const problems: PayloadProblem[] = [];
  for (const [field, check] of shape.checks) {
    const message = checkMember(value, field, check, shape.required.has(field));
    if (message !== undefined) {
      problems.push({ field, message });
    }
  }
  return shape.isOpen ? problems : problems.concat(unknownMembers(value, shape));
}

/** Tells whether a value is written as a JSON object: arrays and values that write themselves (`Date`) are not. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !('toJSON' in value && typeof value.toJSON === 'function')
  );
}

function checkMember(
  object: Record<string, unknown>,
  field: string,
  check: FieldCheck,
  isRequired: boolean,
): string | undefined {
  const value = Object.hasOwn(object, field) ? object[field] : undefined;
  if (isLeftOut(value)) {
    return isRequired ? 'is required' : undefined;
  }
  return check(value);
}

function unknownMembers(object: Record<string, unknown>, shape: ObjectShape): PayloadProblem[] {
  const problems: PayloadProblem[] = [];
  for (const field of Object.keys(object)) {
    if (!shape.checks.has(field) && !isLeftOut(object[field])) {
      problems.push({ field, message: 'is not a known field' });
    }
  }
  return problems;
}

function isLeftOut(value: unknown): boolean {
  return value === undefined || typeof value === 'function' || typeof value === 'symbol';
}
