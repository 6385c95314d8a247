/** What to tell about anything thrown: its message, and those of the attempts that it sums up. */
export function describeError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const { message, errors, code } = error as { message?: unknown; errors?: unknown; code?: unknown };
  if (typeof message === 'string' && message !== '') return message;
  // A host name with several addresses fails with one error for each of them and no message of its own.
  if (Array.isArray(errors) && errors.length > 0) return errors.map(describeError).join('; ');
  return typeof code === 'string' ? code : 'unknown error';
}
