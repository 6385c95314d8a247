import { once } from 'node:events';
import { rm } from 'node:fs/promises';

/** Stops the server that the set-up started and removes its data. */
export default async function tearDown() {
  const started = globalThis.taskBridgeTestServer;
  if (started === undefined) return;
  const stopped = once(started.server, 'exit');
  started.server.disconnect();
  await stopped;
  await rm(started.folder, { recursive: true, force: true });
}
