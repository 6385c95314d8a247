import { expect, it } from '@jest/globals';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { RawFollower } from '../support/raw-follower.js';
import { NOTHING_LEFT, StreamApp } from '../support/stream-app.js';

const FOLLOWERS = 1_000;
const EVENTS = 1_000;
/** Sockets connect in groups that fit the listen backlog. */
const CONNECTING = 100;
/** Appends that are under way at a time. */
const GROUP = 25;

async function connectAll(open: (index: number) => RawFollower): Promise<RawFollower[]> {
  const followers: RawFollower[] = [];
  for (let start = 0; start < FOLLOWERS; start += CONNECTING) {
    const group = Array.from({ length: CONNECTING }, (_, index) => open(start + index));
    await eventually(() => group.every(({ isOpen }) => isOpen));
    followers.push(...group);
  }
  return followers;
}

/** Handles of this process that would keep something running, by type. */
function liveTimers(): number {
  return process.getActiveResourcesInfo().filter((type) => type === 'Timeout' || type === 'Immediate').length;
}

it(`sends ${EVENTS} events in order to ${FOLLOWERS} SSE and ${FOLLOWERS} WebSocket followers and keeps nothing of them`, async () => {
  const { database, close } = await openTestDatabase();
  const app = await StreamApp.open(database);
  const timersBefore = liveTimers();
  const subscribersBefore = app.wakeUpSubscribers;
  const taskId = await app.createTask();
  const sse = await connectAll(() => RawFollower.sse(app.origin, taskId));
  const webSockets = await connectAll(() => RawFollower.webSocket(app.origin, taskId));
  await eventually(() => app.leftovers().followers === 2 * FOLLOWERS);
  expect(app.leftovers()).toEqual({
    followers: 2 * FOLLOWERS,
    watchedTasks: 1,
    drainables: 2 * FOLLOWERS,
    ticking: 2 * FOLLOWERS + 1,
  });
  expect(app.wakeUpSubscribers).toBe(subscribersBefore + 1);

  await app.start(taskId);
  for (let sent = 1; sent < EVENTS - 1; sent += GROUP) {
    await Promise.all(app.progressMany(taskId, Math.min(GROUP, EVENTS - 1 - sent)));
  }
  await app.complete(taskId);

  const all = [...sse, ...webSockets];
  await eventually(() => all.every(({ isClosed }) => isClosed), 60_000);
  expect(all.filter(({ seq }) => seq !== EVENTS)).toEqual([]);
  expect(all.filter(({ outOfOrder }) => outOfOrder !== undefined)).toEqual([]);
  expect(all.filter(({ endedWell }) => !endedWell)).toEqual([]);

  await eventually(() => app.leftovers().drainables === 0);
  expect(app.leftovers()).toEqual(NOTHING_LEFT);
  expect(app.wakeUpSubscribers).toBe(subscribersBefore);
  await eventually(() => liveTimers() <= timersBefore);
  await app.close();
  await close();
}, 90_000);
