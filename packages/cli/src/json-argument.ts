import { readFile } from 'node:fs/promises';
import type { JsonObject } from '@taskbridge/protocol';
import type { CommandContext } from './command-context.js';
import { describeError } from './describe-error.js';
import { isRecord } from './is-record.js';

/** An object given as JSON, as `@file`, or as `-` for standard input; `option` is named when it is not one. */
export async function jsonArgument(
  option: string,
  text: string | undefined,
  { readInput }: CommandContext,
): Promise<JsonObject | undefined> {
  if (text === undefined) return undefined;
  const value = parse(option, await source(option, text, readInput));
  if (isRecord(value)) return value;
  throw new Error(`${option} must be a JSON object`);
}

async function source(option: string, text: string, readInput: () => Promise<string>): Promise<string> {
  if (text === '-') return readInput();
  if (!text.startsWith('@')) return text;
  return readFile(text.slice(1), 'utf8').catch((error: unknown) => {
    throw new Error(`${option} cannot be read`, { cause: error });
  });
}

function parse(option: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${option} is not JSON: ${describeError(error)}`, { cause: error });
  }
}
