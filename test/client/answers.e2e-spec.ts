import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type CheckpointStore, MemoryStore, type TaskBridgeClient } from '@taskbridge/client';
import { FileStore } from '@taskbridge/client/node';
import type { OpenSuspensionView } from '@taskbridge/protocol';
import { startTestApp, type TestApp } from '../support/app.js';
import { clientOf } from './support/torture-client.js';
import { QuestionsHandler } from './support/questions-handler.js';

/** Several objects on one folder or one map, as tabs and processes have them. */
interface SharedPlace {
  open(): CheckpointStore;
  keys(): Promise<string[]>;
}

/** Everybody reads the list of answers before anybody writes it: whoever writes last wins. */
function losing(store: CheckpointStore, meeting: { missing: number; all: () => void; met: Promise<void> }) {
  return {
    getItem: async (key: string) => {
      const text = await store.getItem(key);
      if (!key.endsWith(':answers') || meeting.missing === 0) return text;
      meeting.missing -= 1;
      if (meeting.missing === 0) meeting.all();
      await meeting.met;
      return text;
    },
    setItem: (key: string, value: string) => store.setItem(key, value),
    removeItem: (key: string) => store.removeItem(key),
  };
}

function meetingOf(missing: number): { missing: number; all: () => void; met: Promise<void> } {
  let all = (): void => undefined;
  const met = new Promise<void>((resolve) => (all = resolve));
  return { missing, all, met };
}

describe('Two clients that share a store', () => {
  let host: TestApp;
  let folder: string;

  beforeAll(async () => {
    host = await startTestApp({ providers: [QuestionsHandler] });
  });

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'taskbridge-answers-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  afterAll(() => host.close());

  const clientOn = (store: CheckpointStore): TaskBridgeClient => clientOf(host.url, { store });

  const files = (): SharedPlace => ({ open: () => new FileStore(folder), keys: () => readdir(folder) });

  const memory = (): SharedPlace => {
    const shared = new MemoryStore();
    const known = new Set<string>();
    return {
      open: () => ({
        getItem: (key) => shared.getItem(key),
        setItem: (key, value) => {
          known.add(key);
          shared.setItem(key, value);
        },
        removeItem: (key) => {
          known.delete(key);
          shared.removeItem(key);
        },
      }),
      keys: async () => [...known],
    };
  };

  /** The questions that a client puts which begins again. */
  const asked = async (client: TaskBridgeClient, taskId: string): Promise<string[]> => {
    const codes: string[] = [];
    for await (const event of client.observeTaskEvents(taskId, { lastEventId: '0' })) {
      if (event.type !== 'TASK_SUSPENDED') continue;
      codes.push(event.suspension.reasonCode);
      if (event.suspension.reasonCode === 'last') break;
    }
    return codes;
  };

  it.each([
    ['files', files],
    ['memory', memory],
  ])('lose no answer that both give at the same time, in %s, and leave nothing at the end', async (_, open) => {
    for (let round = 0; round < 5; round += 1) {
      const place = open();
      const taskId = await host.as('ada').create('questions');
      const isAsking = ({ openSuspensions }: { openSuspensions: OpenSuspensionView[] }) => openSuspensions.length === 3;
      const { openSuspensions } = await host.as('ada').until(taskId, isAsking);
      const idOf = (code: string): string =>
        openSuspensions.find(({ reasonCode }) => reasonCode === code)?.suspendId ?? '';
      const meeting = meetingOf(2);
      const tabs = [0, 1].map(() => clientOn(losing(place.open(), meeting)));
      await Promise.all(
        ['first', 'second'].map((code, index) =>
          tabs[index].submitAction(taskId, { suspendId: idOf(code), actionType: code }),
        ),
      );
      expect(await asked(clientOn(place.open()), taskId)).toEqual(['last']);

      const last = clientOn(place.open());
      await last.submitAction(taskId, { suspendId: idOf('last'), actionType: 'last' });
      const types: string[] = [];
      for await (const event of last.observeTaskEvents(taskId, { lastEventId: '0' })) types.push(event.type);
      expect(types).toEqual([
        'TASK_STARTED',
        ...Array.from({ length: 3 }, () => 'TASK_ACTION_ACCEPTED'),
        'TASK_COMPLETED',
      ]);
      expect(await place.keys()).toEqual([]);
    }
  });

  it('clear the answer that one is still giving when the other has seen the end', async () => {
    const store = new FileStore(folder);
    const taskId = await host.as('ada').create('questions');
    const { openSuspensions } = await host.as('ada').until(taskId, (task) => task.openSuspensions.length === 3);
    const client = clientOn(store);
    const run = (async () => {
      for await (const event of client.observeTaskEvents(taskId)) if (event.type === 'UNKNOWN') break;
    })();
    await Promise.all(
      openSuspensions.map(({ suspendId, reasonCode }) =>
        client.submitAction(taskId, { suspendId, actionType: reasonCode }),
      ),
    );
    await run;
    expect(await readdir(folder)).toEqual([]);
  });
});
