import { describe, expect, it } from '@jest/globals';
import { ReportOrder } from '../../lib/services/report-order.js';
import { gate } from '../support/task-instance.js';

describe('The order of reports', () => {
  it('starts ordinary reports at once, in the order of their calls', () => {
    const order = new ReportOrder();
    const started: number[] = [];
    for (const n of [1, 2, 3]) void order.ordinary(async () => started.push(n));
    expect(started).toEqual([1, 2, 3]);
  });

  it('starts an exclusive report after all earlier ones and before all later ones', async () => {
    const order = new ReportOrder();
    const hold = gate();
    const log: string[] = [];
    const step = (name: string) => async () => {
      log.push(`${name} starts`);
      await hold.opened;
      log.push(`${name} ends`);
    };
    void order.ordinary(step('a'));
    void order.exclusive(step('B'));
    void order.ordinary(step('c'));
    void order.exclusive(step('D'));
    const last = order.ordinary(step('e'));
    expect(log).toEqual(['a starts']);
    hold.open();
    await last;
    expect(log).toEqual(['a', 'B', 'c', 'D', 'e'].flatMap((name) => [`${name} starts`, `${name} ends`]));
  });

  it('lets nothing slip in before the reports that wait', async () => {
    const order = new ReportOrder();
    const log: string[] = [];
    const asked = order.exclusive(async () => log.push('question'));
    void order.ordinary(async () => log.push('first'));
    void order.ordinary(async () => log.push('second'));
    // Calls as early as anybody can after the question is durable.
    const late = asked.then(() => order.ordinary(async () => log.push('late')));
    await late;
    expect(log).toEqual(['question', 'first', 'second', 'late']);
  });

  it('goes on after refused reports, awaited or not', async () => {
    const order = new ReportOrder();
    void order.ordinary(refuse);
    void order.exclusive(refuse);
    await expect(order.exclusive(refuse)).rejects.toThrow('refused');
    expect(await order.ordinary(async () => 'accepted')).toBe('accepted');
    await order.settled();
  });
});

function refuse(): Promise<never> {
  return Promise.reject(new Error('refused'));
}
