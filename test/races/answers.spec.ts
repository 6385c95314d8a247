import { openTestProcesses, type TestProcesses } from '../support/processes.js';
import { startTask } from '../support/stores.js';
import { answerTo } from '../support/answers.js';

const ROUNDS = 200;
const AT_ONCE = 20;

describe('many answers to one question', () => {
  let world: TestProcesses;

  beforeAll(async () => {
    world = await openTestProcesses(2);
  });
  afterAll(() => world.close());

  it('have one answer accepted', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const { taskId, attempt } = await startTask(world.processOf(round));
      const requests = [{ suspendId: 'q', reasonCode: 'R', allowedActions: ['go'] }];
      await world.processOf(round).suspensions.openSuspensions({ taskId, attempt, requests });
      const decisions = await world.crowd(AT_ONCE, ({ suspensions }, index) =>
        suspensions.acceptActionIfOpen(answerTo(taskId, { clientActionId: `answer-${index - (index % 2)}` })),
      );
      expect(decisions.filter(({ outcome }) => outcome === 'ACCEPTED')).toHaveLength(1);
      // Every second caller shares its id with the one before, as a client that repeats itself does.
      expect(decisions.filter(({ outcome }) => outcome === 'DEDUPLICATED')).toHaveLength(1);
      expect(new Set(decisions.map(({ receipt }) => receipt?.clientActionId)).size).toBe(1);
      const types = (await world.processOf(0).events.listAfter(taskId, 0, 10)).map(({ type }) => type);
      expect(types).toEqual(['TASK_STARTED', 'TASK_SUSPENDED', 'TASK_ACTION_ACCEPTED']);
    }
  }, 120_000);
});
