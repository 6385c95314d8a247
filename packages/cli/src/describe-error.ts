/** What to tell about anything thrown: its message, why, and those of the attempts that it sums up. */
export function describeError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  // Of JSON, here: reading and writing it are all that goes as deep as somebody else says.
  if (error instanceof RangeError && error.message.includes('call stack')) return 'JSON is nested too deeply';
  const { message, errors, code, cause } = error as Record<'message' | 'errors' | 'code' | 'cause', unknown>;
  const why = cause === undefined ? '' : describeError(cause);
  if (typeof message === 'string' && message !== '') return message.includes(why) ? message : `${message}: ${why}`;
  // A host name with several addresses fails with one error for each of them and no message of its own.
  if (Array.isArray(errors) && errors.length > 0) return errors.map(describeError).join('; ');
  return typeof code === 'string' ? code : 'unknown error';
}
