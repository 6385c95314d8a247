import { describe, expect, it } from '@jest/globals';
import { NotifyPeers } from '../../lib/streams/notify-peers.js';

describe('The peers on a channel', () => {
  const hearingSince = (nowMs: number): NotifyPeers => {
    const peers = new NotifyPeers();
    peers.setHearing(true, nowMs);
    return peers;
  };

  it('may be there until there was time to hear from all of them', () => {
    const peers = hearingSince(0);
    peers.check(15_000);
    expect(peers.isAlone).toBe(false);
    peers.check(15_001);
    expect(peers.isAlone).toBe(true);
  });

  it('are told from their messages, new ones apart', () => {
    const peers = hearingSince(0);
    peers.check(20_000);
    expect([peers.heard('b', 20_000), peers.heard('b', 20_001), peers.heard('c', 20_001)]).toEqual([true, false, true]);
    expect(peers.isAlone).toBe(false);
  });

  it('are forgotten when they have been silent for long', () => {
    const peers = hearingSince(0);
    peers.heard('b', 1_000);
    peers.check(36_000);
    expect(peers.isAlone).toBe(false);
    peers.check(36_001);
    expect(peers.isAlone).toBe(true);
  });

  it('may be there again as soon as nothing can be heard', () => {
    const peers = hearingSince(0);
    peers.check(20_000);
    peers.setHearing(false, 20_000);
    expect(peers.isAlone).toBe(false);
    peers.check(60_000);
    expect(peers.isAlone).toBe(false);
    peers.setHearing(true, 60_000);
    peers.check(70_000);
    expect(peers.isAlone).toBe(false);
  });

  it('are not kept without end', () => {
    const peers = hearingSince(0);
    for (let index = 0; index < 1_000; index += 1) peers.heard(`process ${index}`, 0);
    expect(peers.heard('one more', 0)).toBe(false);
    expect(peers.heard('process 7', 0)).toBe(false);
    expect(peers.isAlone).toBe(false);
  });
});
