import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { HttpClient } from '../support/http-client.js';
import { oneTo, readSse, seqsOf } from '../support/stream-clients.js';
import { FAST } from './support/fault-cluster.js';
import { FaultHost } from './support/fault-host.js';
import { FaultProxy } from './support/fault-proxy.js';

// What a failover does that takes the old address away: nobody is told that the connections there were are dead.

describe('An instance all of whose connections die without a word', () => {
  let database: TestDatabase;
  let proxy: FaultProxy;
  let host: FaultHost;

  beforeEach(async () => {
    database = await createTestDatabase();
    const direct = new URL(database.url);
    proxy = await FaultProxy.open(() => Number(direct.port));
    const proxied = new URL(database.url);
    proxied.port = String(proxy.port);
    host = await FaultHost.prepare().boot({ databaseUrl: proxied.href, queryTimeoutMs: 1_000, options: FAST });
  });
  afterEach(async () => {
    await host.end('SIGKILL');
    await proxy.close();
    await database.drop();
  });

  it('recovers by itself where its pool has a query_timeout', async () => {
    const ada = new HttpClient(host.url, 'ada');
    const running = await ada.create('steps', { steps: 200, delayMs: 20 });
    await ada.until(running, ({ lastEventId }) => lastEventId !== null);
    // Enough requests at once to have the pool open all it may.
    await Promise.all(Array.from({ length: 40 }, () => ada.create('steps', { steps: 1 })));
    let seen = 0;
    const followed = readSse(host.url, running, { subject: 'ada', onEvent: () => (seen += 1) });
    await eventually(() => seen > 0);
    proxy.abandon();
    await eventually(async () => {
      const { status } = await ada.post('/api/v1/tasks', {
        clientRequestId: 'later',
        taskType: 'steps',
        input: { steps: 1 },
      });
      return status === 201 || status === 200;
    }, 30_000);
    // As many requests as the pool has connections, twice: none of them is a dead one any more.
    for (let n = 0; n < 20; n += 1) {
      const taskId = await ada.create('questions');
      expect((await ada.post(`/api/v1/tasks/${taskId}/cancel`, {})).status).toBe(202);
    }
    const { events } = await followed;
    expect(seqsOf(events)).toEqual(oneTo(202));
  }, 120_000);
});
