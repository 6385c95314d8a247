export interface Mutation {
  /** What was done, for instance `payload.progress := null`. */
  label: string;
  /** The changed member's dotted path. */
  path: string;
  value: unknown;
}

const replacements: readonly unknown[] = [
  null,
  true,
  0,
  1,
  50,
  100.5,
  -1,
  '',
  '7',
  'x',
  '2027-03-08T09:30:00Z',
  [],
  ['x'],
  [1],
  {},
];

/** Every document one change away: each member removed, replaced by each of a few values, and one member added to each object. */
export function mutationsOf(document: unknown): Mutation[] {
  return [...changes(document, '')];
}

function* changes(value: unknown, path: string): Generator<Mutation> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const at = `${path}[${index}]`;
      yield { label: `${at} removed`, path: at, value: value.toSpliced(index, 1) };
      yield* within(item, at, (changed) => value.with(index, changed));
    }
  } else if (typeof value === 'object' && value !== null) {
    yield { label: `${path} extended`, path: join(path, 'unheardOf'), value: { ...value, unheardOf: 1 } };
    for (const [key, member] of Object.entries(value)) {
      const at = join(path, key);
      const rest = Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
      yield { label: `${at} removed`, path: at, value: rest };
      yield* within(member, at, (changed) => ({ ...value, [key]: changed }));
    }
  }
}

function* within(member: unknown, at: string, place: (changed: unknown) => unknown): Generator<Mutation> {
  for (const replacement of replacements) {
    yield { label: `${at} := ${JSON.stringify(replacement)}`, path: at, value: place(replacement) };
  }
  for (const change of changes(member, at)) {
    yield { ...change, value: place(change.value) };
  }
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
