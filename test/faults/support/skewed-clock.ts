const RealDate = globalThis.Date;
let offsetMs = 0;

/** `Date` as a machine has it whose clock is wrong; timers and `performance` go on as they were. */
class SkewedDate extends RealDate {
  constructor(...parts: unknown[]) {
    if (parts.length === 0) super(RealDate.now() + offsetMs);
    else super(...(parts as [number]));
  }

  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

/** Moves this process's clock to so many ms beside the real one, from now on. */
export function skewClock(byMs: number): void {
  offsetMs = byMs;
  globalThis.Date = SkewedDate as DateConstructor;
}
