/** What a terminal obeys: control characters, and those that turn the direction of the text around. */
const OBEYED = /[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/gu;

/** Text of somebody else's, without what a terminal would obey; line breaks and tabs stay. */
export function printable(text: string): string {
  return text.replaceAll(OBEYED, '\uFFFD');
}

/** The same on one line; what should be a text and is not is shown as JSON. */
export function printableLine(value: unknown): string {
  return printable(textOf(value)).replaceAll(/\s+/g, ' ').trim();
}

/** JSON whose texts a terminal does not obey either: the same value, with all of that escaped. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(OBEYED, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** A text as it is, anything else as JSON. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
