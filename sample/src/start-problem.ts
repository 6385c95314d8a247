import { type SampleSettings } from './settings.js';

interface SystemError {
  code?: string;
  message?: string;
  errors?: unknown[];
}

/** No connection, a refused login, an unknown database. */
const DATABASE_PROBLEM = /^(ECONN|ENOTFOUND|ETIMEDOUT|28|3D)/;

/** One line that says what to do about a failed start. */
export function describeStartProblem(error: unknown, settings?: SampleSettings): string {
  const { code, message } = rootOf(error);
  if (code === 'EADDRINUSE' && settings) {
    return `Port ${settings.port} on ${settings.host} is taken. Choose another one: PORT=${settings.port + 1} npm start`;
  }
  if (code === 'EACCES' && settings) return `Not allowed to listen on port ${settings.port}. Choose another PORT.`;
  if (code !== undefined && DATABASE_PROBLEM.test(code)) return `The database cannot be used: ${message ?? code}`;
  return message ?? String(error);
}

/** A refused connection comes as an error without a message that holds one per address. */
function rootOf(error: unknown): SystemError {
  if (typeof error !== 'object' || error === null) return {};
  const { code, message, errors } = error as SystemError;
  const first = message ? undefined : errors?.[0];
  return first === undefined ? { ...(code && { code }), ...(message && { message }) } : rootOf(first);
}
