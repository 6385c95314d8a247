import { rm } from 'node:fs/promises';

/** Stops the server that the set-up started and removes its data. */
export default async function tearDown() {
  const started = globalThis.taskBridgeTestServer;
  if (started === undefined) return;
  await started.server.stop();
  await rm(started.folder, { recursive: true, force: true });
}
