import { describe, expect, it } from '@jest/globals';
import { shownError } from '../../lib/services/shown-error.js';

describe('An error as its task’s owner sees it', () => {
  it.each<[string, string | null, string | null]>([
    ['nothing where there is none', null, null],
    ['its message', 'The engine is full', 'The engine is full'],
    ['one line', 'one\n  two\t three ', 'one two three'],
    ['no stack', 'broken\n    at run (/srv/app/run.js:1:2)\n    at next (x.js:3:4)\nlater', 'broken'],
    [
      'no credentials of URLs',
      'cannot reach postgres://ann:s3cret@db:5432/x or amqp://token@mq',
      'cannot reach postgres://db:5432/x or amqp://mq',
    ],
    ['no more than 500 characters', 'x'.repeat(501), `${'x'.repeat(499)}…`],
    ['all of 500 characters', 'x'.repeat(500), 'x'.repeat(500)],
  ])('has %s', (_what, error, shown) => {
    expect(shownError(error)).toBe(shown);
  });
});
