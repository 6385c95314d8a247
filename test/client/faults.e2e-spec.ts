import { type Diagnostic, MemoryStore, type TaskBridgeClientOptions } from '@taskbridge/client';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { StreamApp } from '../support/stream-app.js';
import { FaultNetwork, PASS, type PassingRequest, type Treatment } from './support/fault-network.js';
import { clientOf, flawless, followed, type Kind, KINDS, seeded } from './support/torture-client.js';

const EVENTS = 12;

const answer = (status: number, more: object = {}): Treatment => ({ type: 'answer', status, ...more });

describe('A client in a network full of faults, before two instances', () => {
  let opened: OpenTestDatabase;
  let instances: StreamApp[];
  let network: FaultNetwork;

  beforeAll(async () => {
    opened = await openTestDatabase();
    const streams = { sse: { heartbeatIntervalMs: 200 }, webSocket: { heartbeatIntervalMs: 200 } };
    const open = (): Promise<StreamApp> => StreamApp.open(opened.database, { taskBridge: { streams } });
    instances = [await open(), await open()];
    network = await FaultNetwork.start(instances.map(({ origin }) => origin));
  });

  afterAll(async () => {
    await network.close();
    for (const instance of instances) await instance.close();
    await opened.close();
  });

  /** Follows a task whose events are appended while it is followed, each after the one before has arrived. */
  const live = async (
    treat: (request: PassingRequest) => Treatment,
    options: Partial<TaskBridgeClientOptions> = {},
    between: (seq: number) => unknown = () => undefined,
  ): Promise<Awaited<ReturnType<typeof followed>> & { diagnostics: Diagnostic[] }> => {
    network.reset();
    network.treat = treat;
    const store = new MemoryStore();
    const diagnostics: Diagnostic[] = [];
    const client = clientOf(network.url, { store, diagnostics: (entry) => diagnostics.push(entry), ...options });
    const taskId = await instances[0].createTask();
    await instances[0].start(taskId);
    const outcome = await followed(client, store, taskId, async ({ eventId }) => {
      const seq = Number.parseInt(eventId, 10);
      await between(seq);
      const next = instances[seq % 2];
      if (seq < EVENTS - 1) await next.progress(taskId, seq);
      else if (seq === EVENTS - 1) await next.complete(taskId);
    });
    return { ...outcome, diagnostics };
  };

  const used = (diagnostics: readonly Diagnostic[], kind: 'connected' | 'connecting' = 'connected'): string[] =>
    diagnostics.flatMap((entry) => (entry.kind === kind ? [entry.transport] : []));

  it.each(KINDS)('goes on after each connection is reset in mid-stream, over %s', async (kind) => {
    const { seqs, checkpoints } = await live(
      () => PASS,
      { transports: [kind] },
      (seq) => seq % 3 === 0 && network.cut(),
    );
    expect({ seqs, checkpoints }).toEqual(flawless(EVENTS));
  });

  it.each(KINDS)('notices connections that are half open, over %s', async (kind) => {
    const treat = ({ kind: of, index }: PassingRequest): Treatment =>
      of === kind && index < 3 ? { type: 'freeze', bytes: index * (kind === 'poll' ? 100 : 700) } : PASS;
    const { seqs, checkpoints, diagnostics } = await live(treat, { transports: [kind] });
    expect({ seqs, checkpoints }).toEqual(flawless(EVENTS));
    expect(diagnostics.filter((entry) => entry.kind === 'disconnected' && entry.reason === 'silent')).toHaveLength(3);
  });

  it.each([429, 502, 503])('goes on after answers of %d in mid-stream, on every transport', async (status) => {
    const headers = { 'retry-after': '0', 'content-type': 'text/html' };
    const treat = ({ index }: PassingRequest): Treatment => (index % 3 === 2 ? PASS : answer(status, { headers }));
    for (const transports of [...KINDS.map((kind) => [kind]), undefined]) {
      const between = (seq: number): unknown => seq % 4 === 0 && network.cut();
      const { seqs, checkpoints } = await live(treat, { ...(transports && { transports }) }, between);
      expect({ transports, seqs, checkpoints }).toEqual({ transports, ...flawless(EVENTS) });
    }
  });

  it.each(['sse', 'poll'] as const)('refreshes the token once when it expires in mid-stream, over %s', async (kind) => {
    let token = 'bob';
    const given: string[] = [];
    const provider = (_: unknown, forceRefresh: boolean): Record<string, string> => {
      if (forceRefresh) token = 'ada';
      given.push(`${token}${forceRefresh ? ' refreshed' : ''}`);
      return { authorization: `Bearer ${token}` };
    };
    const treat = ({ head }: PassingRequest): Treatment => (/bearer ada/i.test(head) ? PASS : answer(401));
    const { seqs, checkpoints } = await live(treat, { transports: [kind], authHeaderProvider: provider }, (seq) => {
      if (seq !== 5) return;
      token = 'expired';
      network.cut();
    });
    expect({ seqs, checkpoints }).toEqual(flawless(EVENTS));
    expect(given.filter((entry) => entry.endsWith('refreshed'))).toHaveLength(2);
  });

  it('gives up when the refreshed token is refused too', async () => {
    const treat = ({ index }: PassingRequest): Treatment => (index < 1 ? PASS : answer(401));
    const run = live(treat, { transports: ['sse'] }, (seq) => seq === 3 && network.cut());
    await expect(run).rejects.toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 401 });
  });

  it('gets each event once from a network that sends every message twice', async () => {
    const { seqs, checkpoints } = await live(() => ({ type: 'twice' }), { transports: ['sse'] });
    expect({ seqs, checkpoints }).toEqual(flawless(EVENTS));
  });

  it('leaves a proxy that buffers streams for polling', async () => {
    const treat = ({ kind }: PassingRequest): Treatment =>
      kind === 'websocket' ? answer(400) : kind === 'sse' ? { type: 'hold' } : PASS;
    const { seqs, checkpoints, diagnostics } = await live(treat);
    expect({ seqs, checkpoints }).toEqual(flawless(EVENTS));
    expect(used(diagnostics)[0]).toBe('poll');
  });

  it.each([
    ['websocket', 'sse'],
    ['sse', 'websocket'],
  ])('does without %s where it is refused', async (refused, expected) => {
    const treat = ({ kind }: PassingRequest): Treatment => (kind === refused ? { type: 'cut', bytes: 0 } : PASS);
    const { seqs, checkpoints, diagnostics } = await live(treat);
    expect({ seqs, checkpoints }).toEqual(flawless(EVENTS));
    expect(new Set(used(diagnostics))).toEqual(new Set([expected]));
  });

  it.each(['PROGRESSIVE_STICKY', 'FAST_CYCLE'] as const)(
    'climbs back to the WebSocket once it works again, by %s',
    async (policy) => {
      let refused: Kind[] = ['websocket', 'sse'];
      const events: string[] = [];
      const treat = ({ kind }: PassingRequest): Treatment => (refused.includes(kind as Kind) ? answer(403) : PASS);
      const diagnostics = (entry: Diagnostic): void =>
        void (entry.kind === 'connected' && events.push(entry.transport));
      const { seqs, checkpoints } = await live(treat, { diagnostics, recovery: { policy } }, async (seq) => {
        if (seq === 4) refused = ['websocket'];
        if (seq === 8) refused = [];
      });
      expect({ seqs, checkpoints }).toEqual(flawless(EVENTS));
      expect(events[0]).toBe('poll');
    },
  );

  it('is on the WebSocket again while nothing happens', async () => {
    let isRefused = true;
    network.reset();
    network.treat = ({ kind }) => (isRefused && kind !== 'poll' ? answer(403) : PASS);
    const connected: string[] = [];
    const client = clientOf(network.url, {
      diagnostics: (entry) => entry.kind === 'connected' && connected.push(entry.transport),
    });
    const taskId = await instances[0].taskWith(2);
    const seqs: string[] = [];
    const subscription = client.observeTaskEvents(taskId).subscribe(({ eventId }) => seqs.push(eventId));
    await eventually(() => seqs.length === 2);
    expect(connected).toEqual(['poll']);
    isRefused = false;
    await eventually(() => connected.at(-1) === 'websocket');
    await instances[1].complete(taskId);
    await eventually(() => seqs.length === 3);
    expect(seqs).toEqual(['1-0', '2-0', '3-0']);
    subscription.unsubscribe();
  });

  it('waits while everything is refused, and goes on when it is back', async () => {
    let isOut = false;
    const treat = (): Treatment => (isOut ? { type: 'cut', bytes: 0 } : PASS);
    const { seqs, checkpoints, diagnostics } = await live(treat, {}, (seq) => {
      if (seq !== 5) return;
      isOut = true;
      network.cut();
      setTimeout(() => (isOut = false), 600);
    });
    expect({ seqs, checkpoints }).toEqual(flawless(EVENTS));
    expect(new Set(used(diagnostics, 'connecting'))).toEqual(new Set(KINDS));
    expect(diagnostics.some(({ kind }) => kind === 'retry')).toBe(true);
  });

  it('tries nothing while the device is offline, and reconnects at once when it is back', async () => {
    let isOnline = true;
    const listeners = new Set<() => void>();
    const deviceNetwork = {
      isOnline: () => isOnline,
      subscribe: (changed: () => void) => {
        listeners.add(changed);
        return () => void listeners.delete(changed);
      },
    };
    const turn = (online: boolean): void => {
      isOnline = online;
      for (const changed of listeners) changed();
    };
    let asked = 0;
    const { seqs, checkpoints, diagnostics } = await live(
      () => PASS,
      { network: deviceNetwork },
      (seq) => {
        if (seq !== 5) return;
        turn(false);
        network.cut();
        asked = network.requests.length;
        setTimeout(() => {
          asked = network.requests.length - asked;
          turn(true);
        }, 500);
      },
    );
    expect({ seqs, checkpoints }).toEqual(flawless(EVENTS));
    expect(asked).toBe(0);
    expect(diagnostics.some(({ kind }) => kind === 'offline')).toBe(true);
    expect(listeners.size).toBe(0);
  });

  it('gets every event once in a seeded storm of all of it', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
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
      const { seqs, checkpoints } = await live(treat, { recovery: { policy, livenessTimeoutMs: 500 } });
      expect({ seed, seqs, checkpoints }).toEqual({ seed, ...flawless(EVENTS) });
    }
  });
});
