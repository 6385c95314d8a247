import { isTaskId } from '@taskbridge/protocol';
import { InvalidArgumentError } from 'commander';

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time such as `500ms`, `90s`, `5m`, `2h` or `30d`, in ms. */
export function durationMs(text: string): number {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const factor = UNITS_MS[unit];
  if (factor === undefined) throw new InvalidArgumentError('It must be a time such as 500ms, 90s, 5m, 2h or 30d.');
  return Number(amount) * factor;
}

/** A whole number from 1. */
export function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}

/** The id of a task. */
export function taskIdArgument(text: string): string {
  if (!isTaskId(text)) throw new InvalidArgumentError('It must be the id of a task.');
  return text;
}
