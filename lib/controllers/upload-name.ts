const LONGEST_NAME = 255;

/**
 * The last path part of a client's file name, for both kinds of separators, without control characters and at most 255
 * characters long; `undefined` when nothing usable is left.
 */
export function uploadName(fileName: string): string | undefined {
  const last = fileName.split(/[/\\]/).at(-1) ?? '';
  const name = last.replaceAll(/\p{Cc}|\p{Cs}/gu, '').trim();
  if (name === '' || name === '.' || name === '..') return undefined;
  // A cut in the middle of a surrogate pair would leave half of it.
  return name.slice(0, LONGEST_NAME).replace(/[\uD800-\uDBFF]$/, '');
}

const MEDIA_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/;

/** Whether a media type is well-formed and one of the allowed ones (`text/csv`, `image/*`); all are when none is named. */
export function isAllowedType(contentType: string, allowed: readonly string[] | undefined): boolean {
  if (!MEDIA_TYPE.test(contentType)) return false;
  const family = `${contentType.split('/', 1)[0]}/*`;
  return allowed === undefined || allowed.some((type) => [contentType, family, '*/*'].includes(type.toLowerCase()));
}
