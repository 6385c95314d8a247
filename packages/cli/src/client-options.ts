import { TaskBridgeClient, type TaskBridgeClientOptions, taskRoutes } from '@taskbridge/client';
import { type Command, Option } from 'commander';
import { WebSocket } from 'ws';

/** How to reach the app, the same for every subcommand that talks to it. */
export interface ConnectionOptions {
  url: string;
  token?: string;
  header: string[];
  tasksPath?: string;
}

const HEADER = /^([\w!#$%&'*+.^`|~-]+):\s*([\t\x20-\x7E\x80-\xFF]*)$/;
const MIN_SECRET = 8;
/** Others are refused further down, with a message that repeats them. */
const TOKEN = /^[\x21-\x7E]*$/;

/** Adds them to a subcommand. */
export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'where the app is').env('TASKBRIDGE_URL').default('http://localhost:3000'))
    .addOption(new Option('--token <token>', 'sent as a bearer token').env('TASKBRIDGE_TOKEN'))
    .addOption(
      new Option('--header <name: value>', 'sent with every request; may be repeated')
        .argParser((header, before: string[]) => [...before, header])
        .default([], 'none'),
    )
    .option('--tasks-path <path>', 'where the app has its tasks (default: /api/v1/tasks)');
}

/** A client of the app that the options name. What is wrong with them is not repeated: it may be a secret. */
export function clientOf(options: ConnectionOptions, more: Partial<TaskBridgeClientOptions> = {}): TaskBridgeClient {
  const { url, header, tasksPath } = options;
  const token = options.token?.trim();
  assertUrl(url);
  if (token !== undefined && !TOKEN.test(token)) throw new Error('--token has characters that no token has');
  const identity = { ...(token && { authorization: `Bearer ${token}` }), ...Object.fromEntries(header.map(headerOf)) };
  return new TaskBridgeClient({
    baseUrl: url,
    // Node's own cannot be ended while its peer is silent, and would keep the process.
    webSocket: WebSocket,
    ...(Object.keys(identity).length > 0 && { authHeaderProvider: () => identity }),
    ...(tasksPath !== undefined && { routes: taskRoutes(tasksPath) }),
    ...more,
  });
}

/** What must not be shown although somebody else says it; what is as short as a word of a message is none. */
export function secretsOf({ token = '', header = [] }: Partial<ConnectionOptions>): string[] {
  const values = header.map((text) => HEADER.exec(text)?.[2] ?? '');
  return [token.trim(), ...values].filter((value) => value.length >= MIN_SECRET);
}

/** What a command line needs to reach the same app. The values of headers are left out: they may be secrets. */
export function connectionWords({ url, header, tasksPath }: ConnectionOptions): string[] {
  const headers = header.flatMap((text) => ['--header', `${headerOf(text)[0]}: …`]);
  return ['--url', url, ...(tasksPath === undefined ? [] : ['--tasks-path', tasksPath]), ...headers];
}

function assertUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) throw new Error('--url must be an http(s) URL');
  if (url.username !== '' || url.password !== '') throw new Error('--url has credentials: they go into --header');
}

function headerOf(text: string): [name: string, value: string] {
  const [, name, value] = HEADER.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new Error('--header must look like "Name: value"');
  return [name.toLowerCase(), value];
}
