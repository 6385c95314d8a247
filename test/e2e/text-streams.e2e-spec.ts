import type { TaskEvent } from '@taskbridge/protocol';
import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskContext, TaskRunner } from '../../lib/executors/task-handler.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { oneTo, readPolls, readSse, readWebSocket, seqsOf } from '../support/stream-clients.js';

const WORDS = Array.from({ length: 300 }, (_, index) => `wörd${index} 😀 `);
const TEXT = WORDS.join('');

/** Streams its text in pieces that cut characters in two. */
@TaskHandler('story')
class StoryHandler implements TaskRunner {
  async run(task: TaskContext): Promise<number> {
    const story = task.stream();
    for (const unit of TEXT.split('')) await story.write(unit);
    return TEXT.length;
  }
}

function textOf(events: readonly TaskEvent[]): string {
  return events.flatMap((event) => (event.type === 'TASK_MESSAGE' ? [event.payload.message] : [])).join('');
}

describe('streamed text reaches followers', () => {
  let host: TestApp;

  beforeAll(async () => {
    host = await startTestApp({ providers: [StoryHandler] });
  });
  afterAll(() => host.close());

  const request = { subject: 'ada' };

  it.each([
    ['SSE', async (taskId: string) => (await readSse(host.url, taskId, request)).events],
    ['WebSocket', async (taskId: string) => (await readWebSocket(host.url, taskId, request)).events],
    ['polling', (taskId: string) => readPolls(host.url, taskId, request)],
  ])('whole and in order over %s, the same events live and replayed', async (_, follow) => {
    const taskId = await host.as('ada').create('story', {});
    const live = await follow(taskId);
    expect(textOf(live)).toBe(TEXT);
    expect(seqsOf(live)).toEqual(oneTo(live.length));
    expect(live.at(-1)).toMatchObject({ type: 'TASK_COMPLETED', payload: { result: TEXT.length } });
    expect(live.length).toBeLessThan(TEXT.length / 10);
    expect(await follow(taskId)).toEqual(live);
  });
});
