import { MemoryStore } from '@taskbridge/client';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { StreamApp } from '../support/stream-app.js';
import { frameBoundaries } from './support/frame-boundaries.js';
import { FaultNetwork, PASS, type PassingRequest, type Treatment } from './support/fault-network.js';
import { clientOf, flawless, followed, type Kind, KINDS, seeded } from './support/torture-client.js';

const EVENTS = 9;
const SEEDED_CUTS = 200;

describe('A client whose connections are cut after any number of bytes', () => {
  let opened: OpenTestDatabase;
  let instances: StreamApp[];
  let network: FaultNetwork;
  let taskId: string;

  beforeAll(async () => {
    opened = await openTestDatabase();
    instances = [await StreamApp.open(opened.database), await StreamApp.open(opened.database)];
    network = await FaultNetwork.start(instances.map(({ origin }) => origin));
    taskId = await instances[0].taskWith(EVENTS - 1);
    await instances[1].complete(taskId, { text: 'änderung 🎉' });
  });

  afterAll(async () => {
    await network.close();
    for (const instance of instances) await instance.close();
    await opened.close();
  });

  const run = (kind: Kind, treat: (request: PassingRequest) => Treatment): ReturnType<typeof followed> => {
    network.reset();
    network.treat = treat;
    const store = new MemoryStore();
    return followed(clientOf(network.url, { transports: [kind], store }), store, taskId);
  };

  /** What an instance sends for the whole log. */
  const answerBytes = async (kind: Kind): Promise<Buffer> => {
    await run(kind, () => PASS);
    return network.recorded;
  };

  it.each(KINDS)('gets every event once when each frame’s boundary is cut, over %s', async (kind) => {
    const boundaries = frameBoundaries(kind, await answerBytes(kind));
    expect(boundaries.length).toBeGreaterThanOrEqual(EVENTS);
    const cuts = boundaries.flatMap((at) => [at - 2, at - 1, at, at + 1, at + 2]).filter((at) => at >= 0);
    for (const bytes of cuts) {
      const treat = ({ index }: PassingRequest): Treatment => (index < 2 ? { type: 'cut', bytes } : PASS);
      expect({ bytes, ...(await run(kind, treat)) }).toEqual({ bytes, ...flawless(EVENTS) });
    }
  });

  it('gets every event once when connections are cut at random, over every transport', async () => {
    const random = seeded(5);
    const sizes = { websocket: 0, sse: 0, poll: 0 };
    for (const kind of KINDS) sizes[kind] = (await answerBytes(kind)).length;
    for (let cut = 0; cut < SEEDED_CUTS; cut += 1) {
      const kind = KINDS[cut % KINDS.length];
      const cuts = Array.from({ length: 1 + Math.floor(random() * 4) }, () => Math.floor(random() * sizes[kind]));
      const treat = ({ index }: PassingRequest): Treatment =>
        index < cuts.length ? { type: 'cut', bytes: cuts[index] } : PASS;
      expect({ kind, cuts, ...(await run(kind, treat)) }).toEqual({ kind, cuts, ...flawless(EVENTS) });
    }
  });
});
