/**
 * Cuts a `text/event-stream` into the `data` of its messages, by the rules of the HTML standard; an unfinished last
 * message is dropped. Ids are left out: the envelope inside has its own.
 */
export class SseParser {
  #rest = '';
  #data: string[] = [];

  /** The data of each message that this piece of text completes. */
  push(text: string): string[] {
    this.#rest += text;
    // Most pieces of a long line end none.
    if (!/[\r\n]/.test(text)) return [];
    // A CR at the very end may be the first half of a CRLF.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.#take(line));
  }

  #take(line: string): string[] {
    const [, value] = /^data(?:$|: ?)(.*)/s.exec(line) ?? [];
    if (value !== undefined) this.#data.push(value);
    if (line !== '' || this.#data.length === 0) return [];
    return [this.#data.splice(0).join('\n')];
  }
}
