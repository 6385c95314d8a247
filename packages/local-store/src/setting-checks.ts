import path from 'node:path';
import { isObject, printed } from './arguments.js';
import { InvalidSettingError } from './errors.js';
import type { LocalStoreTelemetry } from './telemetry.js';

// Each throws InvalidSettingError, which names the option or variable.

export function checkObject(name: string, value: unknown): void {
  if (!isObject(value)) throw new InvalidSettingError(`${name} must be an object; it is ${printed(value)}`);
}

export function wholeNumber(name: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `${min} to ${max}`;
  throw new InvalidSettingError(`${name} must be a whole number, ${range}; it is ${printed(value)}`);
}

export function oneOf<T extends string>(name: string, value: T | undefined, allowed: readonly [T, ...T[]]): T {
  if (value === undefined) return allowed[0];
  if (allowed.includes(value)) return value;
  throw new InvalidSettingError(`${name} must be one of ${allowed.join(', ')}; it is ${printed(value)}`);
}

/** Absolute. */
export function filePath(value: unknown): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return path.resolve(value);
  throw new InvalidSettingError(`path must be the name of a file; it is ${printed(value)}`);
}

export function checkTelemetry(hooks: LocalStoreTelemetry | undefined): void {
  if (hooks === undefined) return;
  checkObject('telemetry', hooks);
  for (const name of ['spoolChanged', 'chunksRotated'] as const) {
    if (hooks[name] === undefined || typeof hooks[name] === 'function') continue;
    throw new InvalidSettingError(`telemetry.${name} must be a function; it is ${printed(hooks[name])}`);
  }
}
