import { isStorableText } from '../services/command-checks.js';
import type { FieldProblem } from '../taskbridge.errors.js';

interface Visit {
  value: unknown;
  field: string;
  depth: number;
}

/**
 * The first reason why a parsed JSON value cannot be stored, with the path to it (`input.rows[3]`): nesting deeper than
 * `maxDepth`, text that cannot be stored, a number too large for JSON, a `__proto__` key. Iterative, so that depth
 * costs no stack.
 */
export function findJsonProblem(field: string, value: unknown, maxDepth: number): FieldProblem | undefined {
  const open: Visit[] = [{ value, field, depth: 0 }];
  for (let visit = open.pop(); visit; visit = open.pop()) {
    const message = problemOf(visit, maxDepth);
    if (message !== undefined) return { field: visit.field, message };
    open.push(...children(visit));
  }
  return undefined;
}

function problemOf({ value, depth }: Visit, maxDepth: number): string | undefined {
  if (typeof value === 'string') return isStorableText(value) ? undefined : TEXT_PROBLEM;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'is out of the range of numbers';
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth >= maxDepth) return `is nested deeper than ${maxDepth} levels`;
  return Array.isArray(value) || Object.keys(value).every(isUsableKey) ? undefined : 'has a key that cannot be stored';
}

const TEXT_PROBLEM = 'must not contain NUL or half a surrogate pair';

function isUsableKey(key: string): boolean {
  return key !== '__proto__' && isStorableText(key);
}

function children({ value, field, depth }: Visit): Visit[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => ({ value: item, field: `${field}[${index}]`, depth: depth + 1 }));
  }
  return Object.entries(value).map(([key, item]) => ({ value: item, field: `${field}.${key}`, depth: depth + 1 }));
}
