import { isTaskBridgeError } from '../taskbridge.errors.js';

/** The status of a Nest `HttpException`, also of one from a second copy of `@nestjs/common`. */
export function httpStatusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('getStatus' in error)) return undefined;
  if (typeof error.getStatus !== 'function') return undefined;
  const status: unknown = error.getStatus();
  return typeof status === 'number' ? status : undefined;
}

/** The caller is unknown: the library's error or Nest's 401. */
export function isAuthenticationRefusal(error: unknown): boolean {
  return isTaskBridgeError(error) ? error.code === 'AUTHENTICATION_ERROR' : httpStatusOf(error) === 401;
}

/** The task is not the caller's: must look like an unknown task, whichever way a policy or guard says it. */
export function isAccessRefusal(error: unknown): boolean {
  if (isTaskBridgeError(error)) return error.code === 'TASK_OWNERSHIP_ERROR' || error.code === 'TASK_NOT_FOUND';
  const status = httpStatusOf(error);
  return status === 403 || status === 404;
}
