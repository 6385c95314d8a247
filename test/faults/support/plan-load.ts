import type { TaskPlan } from './fault-task.js';
import type { SeededRandom } from './random.js';

const TASKS = 14;

/** What the clients of one round do: mostly ordinary work and questions, and one of each special kind. */
export function planLoad(round: string, random: SeededRandom, loadMs: number): TaskPlan[] {
  return Array.from({ length: TASKS }, (_, index) => {
    const { taskType, input } = workOf(index, random);
    const isCancelled = taskType === 'stubborn' || (taskType !== 'overdue' && random.chance(0.2));
    return {
      key: `${round}-${index}`,
      taskType,
      input,
      createAtMs: random.int(0, loadMs),
      createTwice: random.chance(0.3),
      cancelAfterMs: isCancelled ? random.int(0, 900) : undefined,
      answerAfterMs: random.int(0, 400),
      answerTwice: random.chance(0.3),
    };
  });
}

function workOf(index: number, random: SeededRandom): Pick<TaskPlan, 'taskType' | 'input'> {
  if (index === 0) return { taskType: 'stubborn', input: {} };
  if (index === 1) return { taskType: 'overdue', input: {} };
  if (index === 2) return { taskType: 'questions', input: expiring(random) };
  if (index <= 4) return { taskType: 'single', input: { steps: random.int(1, 6), delayMs: random.int(0, 40) } };
  if (index <= 8) return { taskType: 'questions', input: { questions: random.int(1, 3) } };
  return { taskType: 'steps', input: { steps: random.int(1, 25), delayMs: random.int(0, 60) } };
}

/** A question that nobody answers. */
function expiring(random: SeededRandom): Record<string, unknown> {
  const onExpiry = random.pick(['resume', 'fail', 'cancel']);
  return { questions: 1, expiresInMs: random.int(200, 900), ...(onExpiry !== 'resume' && { onExpiry }) };
}
