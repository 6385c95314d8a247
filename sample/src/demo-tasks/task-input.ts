import type { TaskContext } from '@taskbridge/nestjs';

export interface IntegerRange {
  min: number;
  max: number;
  default: number;
}

/** Reads whole numbers from a task's input. Throws, naming the member, on one that is out of range or not known. */
export function readIntegers<K extends string>(task: TaskContext, ranges: Record<K, IntegerRange>): Record<K, number> {
  const known = Object.keys(ranges) as K[];
  const unknown = Object.keys(task.input).filter((name) => !(known as string[]).includes(name));
  if (unknown.length > 0) {
    throw new Error(`${task.taskType} does not know input.${unknown[0]}; it takes ${known.join(', ') || 'nothing'}`);
  }
  return Object.fromEntries(known.map((name) => [name, readInteger(task, name, ranges[name])])) as Record<K, number>;
}

function readInteger(task: TaskContext, name: string, { min, max, default: otherwise }: IntegerRange): number {
  const value = task.input[name] ?? otherwise;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`input.${name} has to be a whole number from ${min} to ${max}`);
}
