import { HttpClient } from '../../support/http-client.js';
import { createTestDatabase } from '../../support/database.js';
import { type ForkedHost, forkHost } from '../../support/fork-host.js';
import { FaultNetwork } from './fault-network.js';
import type { Follower } from './follower.js';
import { clientOf, flawless } from './torture-client.js';

const STARTED = 1;
const SUSPENDED = 3;

/** What every client stands, wherever it runs: instances that are stopped, killed and replaced under it. */
export function describeRestarts(where: string, open: (network: FaultNetwork) => Promise<Follower>): void {
  describe(`A client in ${where} whose instances are restarted`, () => {
    it('follows a task over two processes that are stopped, killed and replaced one after the other', async () => {
      const database = await createTestDatabase();
      const options = { execution: { leaseMs: 3_000, heartbeatMs: 500 }, shutdown: { drainWindowMs: 50 } };
      const hosts: ForkedHost[] = [await forkHost(database, options), await forkHost(database, options)];
      const network = await FaultNetwork.start(hosts.map(({ url }) => url));
      const follower = await open(network);
      try {
        const ada = new HttpClient(hosts[0].url, 'ada');
        const taskId = await ada.create('approval');
        const client = clientOf(network.url);
        const replace = async (index: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
          await hosts[index].end(signal);
          hosts[index] = await forkHost(database, options);
          network.targets = hosts.map(({ url }) => url);
        };
        const onEvent = async (seq: number): Promise<void> => {
          if (seq === STARTED) await replace(0, 'SIGTERM');
          if (seq !== SUSPENDED) return;
          await replace(0, 'SIGKILL');
          const [{ suspendId }] = (await client.getTask(taskId)).openSuspensions;
          const answer = { suspendId, actionType: 'approve', payload: { note: 'go on' }, clientActionId: 'once' };
          expect((await client.submitAction(taskId, answer)).status).toBe('ACCEPTED');
          await replace(1, 'SIGKILL');
          expect((await client.submitAction(taskId, answer)).status).toBe('DEDUPLICATED');
        };
        const recovery = { openTimeoutMs: 5_000, livenessTimeoutMs: 20_000 };
        expect(await follower.follow(taskId, { recovery, onEvent, limitMs: 80_000 })).toEqual(flawless(5));
        expect(await client.waitForResult(taskId)).toMatchObject({ action: 'approve' });
      } finally {
        await follower.close();
        await network.close();
        for (const host of hosts) await host.end('SIGKILL');
        await database.drop();
      }
    }, 100_000);
  });
}
