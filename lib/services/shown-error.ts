const MAX_SHOWN_LENGTH = 500;

/** A stack, and what is like one, starts on a line of its own. */
const STACK = /\n\s+at .*/s;
/** What stands between the scheme and the host of a URL. */
const CREDENTIALS = /(?<=\w:\/\/)[^\s/@]+@/g;

/**
 * The error of an executor as its task's owner may see it: one line of limited length, without a stack and without the
 * credentials of URLs.
 */
export function shownError(error: string | null): string | null {
  if (error === null) return null;
  const line = error.replace(STACK, '').replaceAll(CREDENTIALS, '').replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_SHOWN_LENGTH ? `${line.slice(0, MAX_SHOWN_LENGTH - 1)}…` : line;
}
