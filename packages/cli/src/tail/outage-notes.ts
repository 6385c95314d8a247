import type { Diagnostic } from '@taskbridge/client';

/** Failures in a row before an outage is worth a word: most are over at the first try. */
const WORTH_A_WORD = 2;

/** Tells when the connection is lost for longer than a moment, and when it is back. */
export class OutageNotes {
  private isOut = false;

  constructor(
    /** Where it is told. */
    public tell: (text: string) => void,
  ) {}

  readonly listen = (diagnostic: Diagnostic): void => {
    const { kind } = diagnostic;
    if (kind === 'connected') this.turn(false, 'Connected again');
    if (kind === 'retry' && diagnostic.operation === 'stream' && diagnostic.attempt >= WORTH_A_WORD) {
      this.turn(true, 'The connection is lost; trying again …');
    }
  };

  private turn(isOut: boolean, text: string): void {
    if (isOut !== this.isOut) this.tell(text);
    this.isOut = isOut;
  }
}
