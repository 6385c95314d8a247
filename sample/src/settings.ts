export interface SampleSettings {
  host: string;
  port: number;
  /** Without it the sample brings a PostgreSQL of its own. */
  databaseUrl: string | undefined;
}

/** Reads `HOST`, `PORT` and `DATABASE_URL`; throws on a port that is none. */
export function readSettings({ HOST, PORT, DATABASE_URL }: NodeJS.ProcessEnv): SampleSettings {
  const port = Number(PORT || 3000);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`PORT=${PORT} is not a port number`);
  return { host: HOST || '127.0.0.1', port, databaseUrl: DATABASE_URL || undefined };
}

/** The address to type on this machine; a server that listens on all interfaces is reached over the loopback one. */
export function localUrl(host: string, port: number): string {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}
