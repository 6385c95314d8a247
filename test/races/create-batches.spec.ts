import { newTask } from '../support/stores.js';
import { openTestProcesses, type TestProcesses } from '../support/processes.js';

const ROUNDS = 200;
const KEYS = 12;

describe('creates that share a statement', () => {
  let world: TestProcesses;

  beforeAll(async () => {
    world = await openTestProcesses(2);
  });
  afterAll(() => world.close());

  const keyOf = (round: number, key: number) => ({ ownerId: `owner-${round}`, clientRequestId: `key-${key}` });

  it('meet those of another process in the opposite order without a deadlock, each key once', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const creations = await world.crowd(KEYS * 2, ({ registry }, index) => {
        const key = Math.floor(index / 2);
        return registry.createTask(newTask(keyOf(round, index % 2 === 0 ? key : KEYS - 1 - key)));
      });
      expect(creations.filter(({ created }) => created)).toHaveLength(KEYS);
      expect(new Set(creations.map(({ task }) => task.taskId)).size).toBe(KEYS);
    }
    expect(await world.query('select count(*)::int as tasks from taskbridge_tasks')).toEqual([
      { tasks: ROUNDS * KEYS },
    ]);
  });

  it('are committed together', async () => {
    const { registry } = world.processOf(0);
    await Promise.all(Array.from({ length: 50 }, () => registry.createTask(newTask({ ownerId: 'together' }))));
    const [row] = await world.query<{ commits: number }>(
      `select count(distinct xmin::text)::int as commits from taskbridge_tasks where owner_id = 'together'`,
    );
    expect(row?.commits).toBeLessThan(10);
  });

  it('go on while somebody holds the key of one of them, which then gets its turn', async () => {
    const { registry } = world.processOf(0);
    const held = { ownerId: 'held', clientRequestId: 'key' };
    let waiting: Promise<{ created: boolean }> | undefined;
    await registry.transaction(async (manager) => {
      await registry.createTask(newTask(held), { manager });
      waiting = registry.createTask(newTask(held));
      const others = await Promise.all(
        Array.from({ length: 20 }, () => registry.createTask(newTask({ ownerId: 'free' }))),
      );
      expect(others.every(({ created }) => created)).toBe(true);
      expect(await Promise.race([waiting, new Promise((resolve) => setImmediate(resolve, 'waiting'))])).toBe('waiting');
    });
    expect((await waiting)?.created).toBe(false);
  });

  it.each([
    ['an error of its own', 'QUOTA'],
    ["a policy's", '42501'],
    ['that of a timeout', '57014'],
  ])("are not refused for what a host's trigger refuses one of them for, with %s", async (_, state) => {
    await world.query(`create or replace function refuse() returns trigger language plpgsql as $$ begin
      if new.app_id = 'refused' then raise exception 'refused' using errcode = '${state}'; end if; return new; end $$`);
    await world.query('create trigger refuse before insert on taskbridge_tasks for each row execute function refuse()');
    const { registry } = world.processOf(0);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (__, index) =>
        registry.createTask(newTask({ appId: index === 20 ? 'refused' : 'app' })),
      ),
    );
    await world.query('drop trigger refuse on taskbridge_tasks');
    expect(outcomes.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([20]);
  });

  it('are not refused for what one of them cannot store', async () => {
    const { registry } = world.processOf(0);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => registry.createTask(newTask({ appId: index === 4 ? 'a\0b' : 'app' }))),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(
      Array.from({ length: 10 }, (_, index) => (index === 4 ? 'rejected' : 'fulfilled')),
    );
  });
});
