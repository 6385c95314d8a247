import { messageOf } from '../taskbridge.errors.js';

const MAX_TEXT_LENGTH = 2_000;

/** Makes any text fit for an event or a column: without what PostgreSQL or JSON refuse, and of bounded length. */
export function eventText(text: string): string {
  return text
    .slice(0, MAX_TEXT_LENGTH)
    .replaceAll('\u0000', '')
    .replace(/\p{Surrogate}/gu, '\ufffd');
}

/** What to tell about anything thrown: its message, never its stack, and never nothing. */
export function errorText(error: unknown): string {
  return eventText(messageOf(error)) || 'no message';
}
