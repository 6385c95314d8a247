import pg from 'pg';

/** An instant in the life of a process, told by the statements it sends. */
export interface CrashPoint {
  /** Part of the statement or of its parameters, as a regular expression over both. */
  at: string;
  /** The same of an earlier statement in the same transaction; for `commit`, which all transactions share. */
  following?: string;
  /** `before`: it is not sent. `after`: the database has done it, and this process does not know yet. */
  when: 'before' | 'after';
}

interface Querying {
  query: (this: pg.Client, ...parts: unknown[]) => unknown;
}

/** Kills this process at the point, as `kill -9` would: nothing of it runs afterwards. */
export function armCrash(point: CrashPoint): void {
  const at = new RegExp(point.at, 'is');
  const following = point.following === undefined ? undefined : new RegExp(point.following, 'is');
  const seen = new WeakSet<pg.Client>();
  const client = pg.Client.prototype as unknown as Querying;
  const { query } = client;
  client.query = function intercepted(this: pg.Client, ...parts: unknown[]): unknown {
    const text = describe(parts);
    if (/^(?:start transaction|begin)/i.test(text)) seen.delete(this);
    const hit = at.test(text) && (following === undefined || seen.has(this));
    if (following?.test(text) === true) seen.add(this);
    if (!hit) return query.apply(this, parts);
    if (point.when === 'before') die();
    query.apply(this, dyingParts(parts));
    return new Promise(() => undefined);
  };
}

/** The same query, whose answer is the end. */
function dyingParts(parts: unknown[]): unknown[] {
  const [first, ...rest] = parts;
  const config = typeof first === 'string' ? { text: first } : (first as { callback?: unknown });
  const values = rest.find((part) => Array.isArray(part));
  return [{ ...config, ...(values === undefined ? {} : { values }), callback: undefined }, () => die()];
}

function describe([first, second]: unknown[]): string {
  const { text, values } = typeof first === 'string' ? { text: first, values: second } : (first as pg.QueryConfig);
  return `${text} ${Array.isArray(values) ? values.map(String).join(' ') : ''}`;
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}
