/**
 * Cuts a `text/event-stream` into the `data` of its messages, by the rules of the HTML standard; an unfinished last
 * message is dropped. Ids are left out: the envelope inside has its own.
 */
export class SseParser {
  private rest = '';
  private data: string[] = [];

  /** The data of each message that this piece of text completes. */
  push(text: string): string[] {
    this.rest += text;
    // A CR at the very end may be the first half of a CRLF.
    const lines = this.rest.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.take(line));
  }

  private take(line: string): string[] {
    if (line === '') return this.dispatch();
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'data') this.data.push(value);
    return [];
  }

  private dispatch(): string[] {
    const { data } = this;
    this.data = [];
    return data.length === 0 ? [] : [data.join('\n')];
  }
}
