import { openTestProcesses, type TestProcesses } from '../support/processes.js';
import { newTask } from '../support/stores.js';

const ROUNDS = 200;
const AT_ONCE = 20;

describe('many callers with one key', () => {
  let world: TestProcesses;

  beforeAll(async () => {
    world = await openTestProcesses(2);
  });
  afterAll(() => world.close());

  it('create one task with one key', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const key = { ownerId: `owner-${round}`, clientRequestId: 'key' };
      const creations = await world.crowd(AT_ONCE, ({ registry }) => registry.createTask(newTask(key)));
      expect(creations.filter(({ created }) => created)).toHaveLength(1);
      expect(new Set(creations.map(({ task }) => task.taskId)).size).toBe(1);
    }
    expect(await world.query(`select count(*)::int as tasks from taskbridge_tasks`)).toEqual([{ tasks: ROUNDS }]);
  });
});
