import type { Diagnostic } from '@taskbridge/client';
import { openTestDatabase, type OpenTestDatabase } from '../../support/database.js';
import { eventually } from '../../support/eventually.js';
import { StreamApp } from '../../support/stream-app.js';
import { FaultNetwork, PASS, type PassingRequest, type Treatment } from './fault-network.js';
import type { Follower, Followed, FollowOptions } from './follower.js';
import { flawless, type Kind, KINDS, seeded } from './torture-client.js';

const EVENTS = 12;
const STORMS = 10;

const answer = (status: number, more: object = {}): Treatment => ({ type: 'answer', status, ...more });

/** What every client stands, wherever it runs: a network full of faults, before two instances. */
export function describeFaults(where: string, open: (network: FaultNetwork) => Promise<Follower>): void {
  describe(`A client in ${where} in a network full of faults, before two instances`, () => {
    let opened: OpenTestDatabase;
    let instances: StreamApp[];
    let network: FaultNetwork;
    let follower: Follower;
    let diagnostics: Diagnostic[];

    beforeAll(async () => {
      opened = await openTestDatabase();
      const streams = { sse: { heartbeatIntervalMs: 200 }, webSocket: { heartbeatIntervalMs: 200 } };
      const start = (): Promise<StreamApp> => StreamApp.open(opened.database, { taskBridge: { streams } });
      instances = [await start(), await start()];
      network = await FaultNetwork.start(instances.map(({ origin }) => origin));
      follower = await open(network);
    });

    beforeEach(() => {
      network.reset();
      diagnostics = [];
    });

    afterAll(async () => {
      await follower.close();
      await network.close();
      for (const instance of instances) await instance.close();
      await opened.close();
    });

    const follow = (taskId: string, options: FollowOptions): Promise<Followed> =>
      follower.follow(taskId, { onDiagnostic: (entry) => diagnostics.push(entry), ...options });

    /** Follows a task whose events are appended while it is followed, each after the one before has arrived. */
    const live = async (
      treat: (request: PassingRequest) => Treatment,
      options: FollowOptions = {},
      between: (seq: number) => unknown = () => undefined,
    ): Promise<Followed> => {
      network.reset();
      network.treat = treat;
      const taskId = await instances[0].createTask();
      await instances[0].start(taskId);
      const onEvent = async (seq: number): Promise<void> => {
        await between(seq);
        const next = instances[seq % 2];
        if (seq < EVENTS - 1) await next.progress(taskId, seq);
        else if (seq === EVENTS - 1) await next.complete(taskId);
      };
      return follow(taskId, { ...options, onEvent });
    };

    const used = (kind: 'connected' | 'connecting' = 'connected'): string[] =>
      diagnostics.flatMap((entry) => (entry.kind === kind ? [entry.transport] : []));

    it.each(KINDS)('goes on after each connection is reset in mid-stream, over %s', async (kind) => {
      const followed = await live(
        () => PASS,
        { transports: [kind] },
        (seq) => seq % 3 === 0 && network.cut(),
      );
      expect(followed).toEqual(flawless(EVENTS));
    });

    it.each(KINDS)('notices connections that are half open, over %s', async (kind) => {
      const treat = ({ kind: of, index }: PassingRequest): Treatment =>
        of === kind && index < 3 ? { type: 'freeze', bytes: index * (kind === 'poll' ? 100 : 700) } : PASS;
      expect(await live(treat, { transports: [kind] })).toEqual(flawless(EVENTS));
      const silent = diagnostics.filter((entry) => entry.kind === 'disconnected' && entry.reason === 'silent');
      expect(silent.length).toBeGreaterThanOrEqual(3);
    });

    it.each([429, 502, 503])('goes on after answers of %d in mid-stream, on every transport', async (status) => {
      const headers = { 'retry-after': '0', 'content-type': 'text/html' };
      const treat = ({ index }: PassingRequest): Treatment => (index % 3 === 2 ? PASS : answer(status, { headers }));
      for (const transports of [...KINDS.map((kind) => [kind]), undefined]) {
        const between = (seq: number): unknown => seq % 4 === 0 && network.cut();
        const followed = await live(treat, { ...(transports && { transports }) }, between);
        expect({ transports, ...followed }).toEqual({ transports, ...flawless(EVENTS) });
      }
    });

    it.each(['sse', 'poll'] as const)(
      'refreshes the token once when it expires in mid-stream, over %s',
      async (kind) => {
        let token = 'bob';
        const given: string[] = [];
        const headers = (forceRefresh: boolean): Record<string, string> => {
          if (forceRefresh) token = 'ada';
          given.push(`${token}${forceRefresh ? ' refreshed' : ''}`);
          return { authorization: `Bearer ${token}` };
        };
        const treat = ({ head }: PassingRequest): Treatment => (/bearer ada/i.test(head) ? PASS : answer(401));
        const followed = await live(treat, { transports: [kind], headers }, (seq) => {
          if (seq !== 5) return;
          token = 'expired';
          network.cut();
        });
        expect(followed).toEqual(flawless(EVENTS));
        expect(given.filter((entry) => entry.endsWith('refreshed'))).toHaveLength(2);
      },
    );

    it('gives up when the refreshed token is refused too', async () => {
      const treat = ({ index }: PassingRequest): Treatment => (index < 1 ? PASS : answer(401));
      const run = live(treat, { transports: ['sse'] }, (seq) => seq === 3 && network.cut());
      await expect(run).rejects.toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 401 });
    });

    it('gets each event once from a network that sends every message twice', async () => {
      expect(await live(() => ({ type: 'twice' }), { transports: ['sse'] })).toEqual(flawless(EVENTS));
    });

    it('leaves a proxy that buffers streams for polling', async () => {
      const treat = ({ kind }: PassingRequest): Treatment =>
        kind === 'websocket' ? answer(400) : kind === 'sse' ? { type: 'hold' } : PASS;
      expect(await live(treat)).toEqual(flawless(EVENTS));
      expect(used()[0]).toBe('poll');
    });

    it.each([
      ['websocket', 'sse'],
      ['sse', 'websocket'],
    ])('does without %s where it is refused', async (refused, expected) => {
      const treat = ({ kind }: PassingRequest): Treatment => (kind === refused ? { type: 'cut', bytes: 0 } : PASS);
      expect(await live(treat)).toEqual(flawless(EVENTS));
      expect(new Set(used())).toEqual(new Set([expected]));
    });

    it.each(['PROGRESSIVE_STICKY', 'FAST_CYCLE'] as const)(
      'climbs back to the WebSocket once it works again, by %s',
      async (policy) => {
        let refused: Kind[] = ['websocket', 'sse'];
        const treat = ({ kind }: PassingRequest): Treatment => (refused.includes(kind as Kind) ? answer(403) : PASS);
        const followed = await live(treat, { recovery: { policy } }, (seq) => {
          if (seq === 4) refused = ['websocket'];
          if (seq === 8) refused = [];
        });
        expect(followed).toEqual(flawless(EVENTS));
        expect(used()[0]).toBe('poll');
      },
    );

    it('is on the WebSocket again while nothing happens', async () => {
      let isRefused = true;
      network.treat = ({ kind }) => (isRefused && ['websocket', 'sse'].includes(kind) ? answer(403) : PASS);
      const taskId = await instances[0].taskWith(2);
      const seqs: number[] = [];
      const run = follow(taskId, { onEvent: (seq) => seqs.push(seq) });
      await eventually(() => seqs.length === 2);
      expect(used()).toEqual(['poll']);
      isRefused = false;
      await eventually(() => used().at(-1) === 'websocket');
      await instances[1].complete(taskId);
      expect(await run).toEqual(flawless(3));
      expect(seqs).toEqual([1, 2, 3]);
    });

    it('waits while everything is refused, and goes on when it is back', async () => {
      let isOut = false;
      const treat = (): Treatment => (isOut ? { type: 'cut', bytes: 0 } : PASS);
      const followed = await live(treat, {}, (seq) => {
        if (seq !== 5) return;
        isOut = true;
        network.cut();
        setTimeout(() => (isOut = false), 600);
      });
      expect(followed).toEqual(flawless(EVENTS));
      expect(new Set(used('connecting'))).toEqual(new Set(KINDS));
      expect(diagnostics.some(({ kind }) => kind === 'retry')).toBe(true);
    });

    it('tries nothing while the device is offline, and reconnects at once when it is back', async () => {
      let asked = 0;
      let back: Promise<void> | undefined;
      const goOffline = async (): Promise<void> => {
        await follower.setOnline(false);
        network.cut();
        asked = network.requests.length;
        back = new Promise((resolve) => setTimeout(resolve, 500)).then(() => {
          asked = network.requests.length - asked;
          return follower.setOnline(true);
        });
      };
      const followed = await live(
        () => PASS,
        {},
        (seq) => seq === 5 && goOffline(),
      );
      await back;
      expect(followed).toEqual(flawless(EVENTS));
      expect(asked).toBe(0);
      expect(diagnostics.some(({ kind }) => kind === 'offline')).toBe(true);
    });

    it('gets every event once in a seeded storm of all of it', async () => {
      for (let seed = 1; seed <= STORMS; seed += 1) {
        const random = seeded(seed);
        const treat = (): Treatment => {
          const bytes = Math.floor(random() * 2_500);
          const dice = random();
          if (dice < 0.35) return { type: 'cut', bytes };
          if (dice < 0.4) return { type: 'freeze', bytes };
          if (dice < 0.55) return answer([429, 500, 502, 503, 504][Math.floor(random() * 5)]);
          return PASS;
        };
        const policy = seed % 2 === 0 ? 'FAST_CYCLE' : 'PROGRESSIVE_STICKY';
        const followed = await live(treat, { recovery: { policy, livenessTimeoutMs: 500 } });
        expect({ seed, ...followed }).toEqual({ seed, ...flawless(EVENTS) });
      }
    });
  });
}
