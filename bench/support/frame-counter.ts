const BLANK_LINE = Buffer.from('\n\n');
const TIME = /t=(\d+)/;

/** Told of each complete frame of one connection; `text` only where the times in them are wanted. */
export type OnFrame = (text: string | undefined) => void;

/** Finds the frames in what one connection receives; keeps at most the start of the next one. */
export abstract class FrameCounter {
  private rest: Buffer | undefined;

  constructor(
    private readonly onFrame: OnFrame,
    private readonly wantsText: boolean,
  ) {}

  take(chunk: Buffer): void {
    const data = this.rest === undefined ? chunk : Buffer.concat([this.rest, chunk]);
    let start = 0;
    for (let end = this.endOf(data, start); end !== undefined; end = this.endOf(data, start)) {
      this.onFrame(this.wantsText ? data.toString('latin1', start, end) : undefined);
      start = end;
    }
    this.rest = start === data.length ? undefined : data.subarray(start);
  }

  /** Offset after the frame that begins at `start`; `undefined` while it is incomplete. */
  protected abstract endOf(data: Buffer, start: number): number | undefined;
}

/** The head of the response counts as a frame, for it ends in a blank line too. */
export class SseCounter extends FrameCounter {
  private isBody = false;

  protected endOf(data: Buffer, start: number): number | undefined {
    const mark = this.isBody ? BLANK_LINE : '\r\n\r\n';
    const found = data.indexOf(mark, start);
    if (found < 0) return undefined;
    this.isBody = true;
    return found + mark.length;
  }
}

/** The answer to the upgrade counts as a frame. */
export class WebSocketCounter extends FrameCounter {
  private isUpgraded = false;

  protected endOf(data: Buffer, start: number): number | undefined {
    if (!this.isUpgraded) {
      const found = data.indexOf('\r\n\r\n', start);
      this.isUpgraded = found >= 0;
      return found < 0 ? undefined : found + 4;
    }
    const end = frameEnd(data, start);
    return end === undefined || end > data.length ? undefined : end;
  }
}

/** When the event of this frame was produced, in µs of the monotonic clock; `undefined` for other frames. */
export function timeIn(text: string): number | undefined {
  const match = TIME.exec(text);
  return match ? Number(match[1]) : undefined;
}

function frameEnd(data: Buffer, start: number): number | undefined {
  if (data.length < start + 2) return undefined;
  const short = (data[start + 1] ?? 0) & 0x7f;
  if (short < 126) return start + 2 + short;
  const header = short === 126 ? 4 : 10;
  if (data.length < start + header) return undefined;
  return start + header + (short === 126 ? data.readUInt16BE(start + 2) : Number(data.readBigUInt64BE(start + 2)));
}
