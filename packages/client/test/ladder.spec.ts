import { backoffMs } from '../src/recovery/backoff.js';
import type { ConnectionEnd, EndReason } from '../src/recovery/connection.js';
import { afterClimb, afterDelivery, afterEnd, FIRST_TRY, type LadderState } from '../src/recovery/ladder.js';
import { SseParser } from '../src/transports/sse-parser.js';

const end = (reason: EndReason, hasOpened = false, hasDelivered = false, hasLasted = false): ConnectionEnd => ({
  reason,
  hasOpened,
  hasDelivered,
  hasLasted,
});

/** The rungs that are taken one after the other, with a pause written as `|`. */
function path(policy: 'PROGRESSIVE_STICKY' | 'FAST_CYCLE', ends: readonly ConnectionEnd[]): string {
  let state: LadderState = FIRST_TRY;
  let taken = String(state.rung);
  for (const one of ends) {
    const next = afterEnd(state, one, 3, policy);
    state = next.state;
    taken += `${next.pauses ? '|' : ''}${state.rung}`;
  }
  return taken;
}

describe('The ladder of transports', () => {
  it('goes down at once where nothing opens, and pauses before it begins again', () => {
    expect(path('PROGRESSIVE_STICKY', Array(6).fill(end('broken')))).toBe('012|012|0');
    expect(path('FAST_CYCLE', Array(6).fill(end('broken')))).toBe('012|012|0');
  });

  it('stays with a transport that has brought something, and comes back to the best one in a fast cycle', () => {
    const ends = [end('broken'), end('broken', true, true), end('broken', true, true)];
    expect(path('PROGRESSIVE_STICKY', ends)).toBe('01|1|1');
    expect(path('FAST_CYCLE', ends)).toBe('0100');
  });

  it('leaves a transport that is silent, or that opens again and again for nothing', () => {
    expect(path('PROGRESSIVE_STICKY', [end('silent', true)])).toBe('01');
    expect(path('PROGRESSIVE_STICKY', [end('closed', true), end('closed', true)])).toBe('0|01');
  });

  it('counts a connection that lasted as one that works, whether or not it brought something', () => {
    const lasted = Array<ConnectionEnd>(4).fill(end('broken', true, false, true));
    expect(path('PROGRESSIVE_STICKY', lasted)).toBe('0|0|0|0|0');
    expect(path('FAST_CYCLE', lasted)).toBe('00000');
    const failed = { ...FIRST_TRY, failures: 7 };
    expect(afterEnd(failed, lasted[0], 3, 'PROGRESSIVE_STICKY').state.failures).toBe(0);
    expect(afterEnd(failed, lasted[0], 3, 'FAST_CYCLE').state.failures).toBe(0);
    expect(afterEnd(failed, end('broken', true), 3, 'PROGRESSIVE_STICKY').state.failures).toBe(8);
  });

  it('climbs less often the less it lasts, and often again once the best transport has delivered', () => {
    const flapping = afterClimb(afterClimb(FIRST_TRY, 0), 0);
    expect(flapping.climbs).toBe(2);
    expect(afterDelivery({ ...flapping, rung: 1 }).climbs).toBe(2);
    expect(afterDelivery(flapping).climbs).toBe(0);
  });

  it('pauses at random up to a limit that doubles, at least as long as the server asks, never longer than the most', () => {
    const limits = { initialDelayMs: 100, maxDelayMs: 1_000 };
    expect([0, 1, 2, 3, 4, 40].map((failures) => backoffMs(failures, limits, 0, () => 1))).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]);
    expect(backoffMs(3, limits, 0, () => 0)).toBe(0);
    expect(backoffMs(0, limits, 700, () => 0)).toBe(700);
    expect(backoffMs(0, limits, 60_000, () => 0)).toBe(1_000);
  });
});

describe('The parser of event streams', () => {
  const STREAM =
    ': ping\n\nid: 1\ndata: {"a":1}\n\nevent: x\ndata:first\r\ndata: second\r\n\r\ndata: third\r\rdata\n\ndata: cut';
  const MESSAGES = ['{"a":1}', 'first\nsecond', 'third', ''];

  it('gives the data of each message, however the stream is cut, and drops an unfinished one', () => {
    for (let at = 0; at <= STREAM.length; at += 1) {
      const parser = new SseParser();
      expect([...parser.push(STREAM.slice(0, at)), ...parser.push(STREAM.slice(at))]).toEqual(MESSAGES);
    }
    const byCharacter = new SseParser();
    expect(STREAM.split('').flatMap((character) => byCharacter.push(character))).toEqual(MESSAGES);
  });
});
