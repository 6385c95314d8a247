import { openTestDatabase, type OpenTestDatabase } from '../../support/database.js';
import { StreamApp } from '../../support/stream-app.js';
import { boundaryCuts, type CutPlan, seededCuts, treatmentOf } from './cut-plans.js';
import { FaultNetwork } from './fault-network.js';
import type { Follower } from './follower.js';
import { flawless, type Kind, KINDS } from './torture-client.js';

const EVENTS = 9;
const SEEDED_CUTS = 200;

/** What every client stands, wherever it runs: connections that are cut after any number of bytes. */
export function describeCuts(where: string, open: (network: FaultNetwork) => Promise<Follower>, limitMs: number): void {
  describe(`A client in ${where} whose connections are cut after any number of bytes`, () => {
    let opened: OpenTestDatabase;
    let instances: StreamApp[];
    let network: FaultNetwork;
    let follower: Follower;
    let taskId: string;

    beforeAll(async () => {
      opened = await openTestDatabase();
      instances = [await StreamApp.open(opened.database), await StreamApp.open(opened.database)];
      network = await FaultNetwork.start(instances.map(({ origin }) => origin));
      follower = await open(network);
      taskId = await instances[0].taskWith(EVENTS - 1);
      await instances[1].complete(taskId, { text: 'änderung 🎉' });
    });

    afterAll(async () => {
      await follower.close();
      await network.close();
      for (const instance of instances) await instance.close();
      await opened.close();
    });

    const run = (plan: CutPlan): ReturnType<Follower['follow']> => {
      network.reset();
      network.treat = treatmentOf(plan);
      return follower.follow(taskId, { transports: [plan.kind] });
    };

    /** What an instance sends for the whole log. */
    const answerOf = async (kind: Kind): Promise<Buffer> => {
      await run({ kind, cuts: [] });
      return network.answers[kind];
    };

    it.each(KINDS)(
      'gets every event once when each frame’s boundary is cut, over %s',
      async (kind) => {
        const plans = boundaryCuts(kind, await answerOf(kind));
        expect(plans.length).toBeGreaterThanOrEqual(EVENTS * 5);
        for (const plan of plans) expect({ plan, ...(await run(plan)) }).toEqual({ plan, ...flawless(EVENTS) });
      },
      limitMs,
    );

    it(
      'gets every event once when connections are cut at random, over every transport',
      async () => {
        const answers = {
          websocket: await answerOf('websocket'),
          sse: await answerOf('sse'),
          poll: await answerOf('poll'),
        };
        for (const plan of seededCuts(SEEDED_CUTS, answers)) {
          expect({ plan, ...(await run(plan)) }).toEqual({ plan, ...flawless(EVENTS) });
        }
      },
      limitMs,
    );
  });
}
