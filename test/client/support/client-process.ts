import { TaskBridgeClient } from '@taskbridge/client';
import { FileStore } from '@taskbridge/client/node';

// A client in a process of its own: prints the number of each event it gets, and kills itself when it is told to.

const [url = '', taskId = '', folder = '', mode = '', dieAt = ''] = process.argv.slice(2);

const die = (): void => void process.kill(process.pid, 'SIGKILL');

/** Dies as soon as an event's number is stored. */
class DeadlyStore extends FileStore {
  override async setItem(key: string, value: string): Promise<void> {
    await super.setItem(key, value);
    if (mode === 'stored' && value === `${dieAt}-0`) die();
  }
}

const client = new TaskBridgeClient({
  baseUrl: url,
  authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
  store: new DeadlyStore(folder),
  transports: ['sse', 'poll'],
});

for await (const { eventId } of client.observeTaskEvents(taskId)) {
  process.stdout.write(`${Number.parseInt(eventId, 10)}\n`);
  if (mode === 'handling' && eventId === `${dieAt}-0`) die();
}
process.stdout.write('end\n');
