import { Logger } from '@nestjs/common';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { TaskByTask } from '../../lib/services/task-by-task.js';
import { eventually, gate } from '../support/task-instance.js';

const backoff = { backoffMs: 60_000, maxBackoffMs: 60_000 };

describe('TaskByTask', () => {
  const upkeep = (width = Infinity) => new TaskByTask({ done: 'ended', backoff, width });
  const errors = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);

  afterEach(() => {
    errors.mockClear();
  });

  it('counts what there was to do', async () => {
    const tasks = upkeep();
    expect(await tasks.run(['a', 'b', 'c'], (taskId) => Promise.resolve(taskId !== 'b'))).toBe(2);
    expect(tasks.leftOut).toEqual([]);
  });

  it('leaves out a task that hangs, and counts it with the run after it has settled', async () => {
    const tasks = upkeep();
    const door = gate();
    const hang = (taskId: string) => (taskId === 'hangs' ? door.opened.then(() => true) : Promise.resolve(true));
    expect(await tasks.run(['hangs', 'free'], hang)).toBe(1);
    expect(tasks.leftOut).toEqual(['hangs']);
    const seen: string[] = [];
    const see = (taskId: string) => Promise.resolve(seen.push(taskId) > 0);
    expect(await tasks.run(['hangs', 'next'], see)).toBe(1);
    expect(seen).toEqual(['next']);
    door.open();
    await eventually(() => tasks.leftOut.length === 0);
    expect(await tasks.run([], see)).toBe(1);
  });

  it('pauses a task that fails, goes on with the others, and logs its first failure only', async () => {
    const tasks = new TaskByTask({ done: 'ended', backoff: { backoffMs: 0, maxBackoffMs: 0 }, width: 1 });
    const work = (taskId: string) => (taskId === 'bad' ? Promise.reject(new Error('no')) : Promise.resolve(true));
    for (let round = 0; round < 3; round += 1) expect(await tasks.run(['bad', 'good'], work)).toBe(1);
    expect(errors.mock.calls.map(([message]) => message)).toEqual(['Task bad could not be ended: no; trying again']);
    const paused = upkeep();
    await paused.run(['bad', 'worse'], () => Promise.reject(new Error('no')));
    expect(paused.leftOut).toEqual(['bad', 'worse']);
    expect(errors.mock.lastCall?.[0]).toBe('Task bad could not be ended: no (and 1 more); trying again');
  });

  it('works on so many at once as it was told', async () => {
    let atOnce = 0;
    let most = 0;
    const work = async (): Promise<boolean> => {
      most = Math.max(most, (atOnce += 1));
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      return true;
    };
    expect(await upkeep(2).run(['a', 'b', 'c', 'd', 'e'], work)).toBe(5);
    expect(most).toBe(2);
  });

  it('keeps no more than a thousand under way', async () => {
    const tasks = upkeep();
    let begun = 0;
    const hang = (): Promise<boolean> => {
      begun += 1;
      return new Promise(() => undefined);
    };
    const ids = (prefix: string) => Array.from({ length: 700 }, (_, n) => `${prefix}${n}`);
    await tasks.run(ids('a'), hang);
    await tasks.run(ids('b'), hang);
    expect(begun).toBe(1_000);
  });
});
