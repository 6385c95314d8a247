import type { Socket } from 'node:net';
import { Client, type ClientConfig } from 'pg';
import type { DataSource, DataSourceOptions } from 'typeorm';
import type { TaskBridgeSettings } from '../taskbridge.options.js';

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;
type Credentials = Pick<PostgresOptions, 'url' | 'host' | 'port' | 'username' | 'password' | 'database' | 'ssl'>;

const CONNECT_TIMEOUT_MS = 10_000;
/** How long a server may take to close its side, in ms. */
const END_TIMEOUT_MS = 500;

/**
 * A client of its own for the primary of the DataSource, outside its pool; not connected yet. `direct` replaces host,
 * port or URL where the pool goes through a proxy that cannot hold sessions. The caller adds an `error` listener.
 */
export function createDirectClient(
  dataSource: DataSource,
  direct: TaskBridgeSettings['direct'],
  applicationName: string,
  extra: ClientConfig = {},
): Client {
  const options = dataSource.options as PostgresOptions;
  const { url, host, port, username, password, database, ssl } = credentialsOf(options, direct);
  return new Client({
    connectionTimeoutMillis: options.connectTimeoutMS ?? CONNECT_TIMEOUT_MS,
    ...definedOnly({ host, port, user: username, database, ssl: ssl as ClientConfig['ssl'], connectionString: url }),
    ...(password === undefined ? {} : { password: password as string }),
    ...options.extra,
    application_name: applicationName,
    keepAlive: true,
    ...extra,
  });
}

/**
 * Whether a pooler stands between, as PgBouncer does: the session that the client knows is not the server's. Then what
 * is set, prepared or listened to outside of a transaction may stay with a server that another client uses next.
 */
export async function isPooled(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid !== (client as unknown as { processID: number | null }).processID;
}

/** Ends it politely, and soon afterwards also without the server. Never rejects. */
export async function endClient(client: Client): Promise<void> {
  const { connection } = client as unknown as { connection: { stream: Socket } };
  const timer = setTimeout(() => connection.stream.destroy(), END_TIMEOUT_MS);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}

function credentialsOf(options: PostgresOptions, direct: TaskBridgeSettings['direct']): Credentials {
  const primary: Credentials = options.replication === undefined ? options : options.replication.master;
  if (direct === undefined) return primary;
  if (direct.url !== undefined) return { ...primary, ...direct };
  return { ...primary, ...direct, ...(primary.url === undefined ? {} : { url: redirected(primary.url, direct) }) };
}

/** A URL beats separate fields in `pg`, so the replacement has to go into it. */
function redirected(url: string, direct: { host?: string; port?: number }): string {
  const target = new URL(url);
  if (direct.host !== undefined) target.hostname = direct.host;
  if (direct.port !== undefined) target.port = String(direct.port);
  return target.href;
}

function definedOnly(config: ClientConfig): ClientConfig {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}
