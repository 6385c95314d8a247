import { openTestProcesses, type TestProcesses } from '../support/processes.js';
import { newTask, startTask } from '../support/stores.js';
import { answerTo } from '../support/answers.js';

const AT_ONCE = 20;

describe('many claimers', () => {
  let world: TestProcesses;

  beforeAll(async () => {
    world = await openTestProcesses(2);
  });
  afterAll(() => world.close());

  it('take each hand-off and each resume once', async () => {
    const tasks = await Promise.all(Array.from({ length: 100 }, (_, index) => startTask(world.processOf(index))));
    for (const [index, { taskId, attempt }] of tasks.entries()) {
      const requests = [{ suspendId: 'q', reasonCode: 'R', allowedActions: ['go'] }];
      await world.processOf(index).suspensions.openSuspensions({ taskId, attempt, requests });
      await world.processOf(index).suspensions.acceptActionIfOpen(answerTo(taskId));
    }
    const ids = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const task = newTask({ ownerId: 'hand-offs', submissionClaimMs: 0 });
        await world.processOf(index).registry.createTask(task);
        return task.taskId;
      }),
    );
    const submissions = (
      await world.crowd(AT_ONCE, ({ registry }) => registry.claimHandoffs('submission', 100, 600_000))
    ).flat();
    const claimed = submissions.map(({ taskId }) => taskId).filter((taskId) => ids.includes(taskId));
    expect(claimed.toSorted((a, b) => a.localeCompare(b))).toEqual(ids.toSorted((a, b) => a.localeCompare(b)));
    const resumes = (
      await world.crowd(AT_ONCE, ({ suspensions }) => suspensions.listPendingResumeHandoffs(50, 60_000))
    ).flat();
    const mine = resumes.map(({ receipt }) => receipt.taskId).filter((id) => tasks.some(({ taskId }) => taskId === id));
    expect(new Set(mine).size).toBe(100);
    expect(mine).toHaveLength(100);
  });
});
