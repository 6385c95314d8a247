import { TASK_EVENT_TYPES, TASK_STATUSES } from '@taskbridge/protocol';
import type { ValueTransformer } from 'typeorm';

/** `bigint` columns as numbers: sequence numbers and sizes stay below 2^53. */
export const bigintAsNumber: ValueTransformer = {
  from: (stored: string | null) => (stored === null ? null : Number(stored)),
  to: (value: unknown) => value,
};

/** The status' name; the column holds its index in `TASK_STATUSES`. */
export const taskStatus = codeOf(TASK_STATUSES);

/** The type's name; the column holds its index in `TASK_EVENT_TYPES`. */
export const taskEventType = codeOf(TASK_EVENT_TYPES);

/** Writing also serves `where`, whose operators hand their values over one by one. */
function codeOf(names: readonly string[]): ValueTransformer {
  return {
    from: (code: number) => names[code],
    to: (name: unknown) => (typeof name === 'string' ? names.indexOf(name) : name),
  };
}
