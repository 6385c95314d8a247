import { compareEventIds, formatEventId, isTaskId, MAX_EVENT_SEQ, parseCursor } from '@taskbridge/protocol';

describe('event ids', () => {
  it.each([
    [0, '0-0'],
    [1, '1-0'],
    [10, '10-0'],
    [MAX_EVENT_SEQ, '999999999999999-0'],
  ])('writes event %d as %s and reads it back', (seq, eventId) => {
    expect(formatEventId(seq)).toBe(eventId);
    expect(parseCursor(eventId)).toBe(seq);
  });

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, MAX_EVENT_SEQ + 1])('refuses to write event %d', (seq) => {
    expect(() => formatEventId(seq)).toThrow(RangeError);
  });

  it.each([undefined, null, '', '0', '0-0', '000', '00-0'])('reads %j as the start of the log', (cursor) => {
    expect(parseCursor(cursor)).toBe(0);
  });

  it.each([
    ['7', 7],
    ['007-0', 7],
    ['000000000000012', 12],
    ['999999999999999', MAX_EVENT_SEQ],
  ])('reads the cursor %s as %d', (cursor, seq) => {
    expect(parseCursor(cursor)).toBe(seq);
  });

  it.each([
    '7-1',
    '7-00',
    '7-',
    '-7',
    '+7',
    ' 7',
    '7 ',
    '7\n',
    '7-0\n',
    '1e3',
    '0x7',
    '٣',
    'abc',
    '1234567890123456',
    'null',
  ])('reads %j as malformed', (cursor) => {
    expect(parseCursor(cursor)).toBeNull();
  });

  it.each([7, true, ['7'], { toString: () => '7' }])('reads a cursor that is not text, %j, as malformed', (cursor) => {
    expect(parseCursor(cursor)).toBeNull();
  });

  it('orders cursors as numbers', () => {
    const cursors = ['10-0', '9-0', '100', '2-0', '1'];
    expect(cursors.toSorted(compareEventIds)).toEqual(['1', '2-0', '9-0', '10-0', '100']);
    expect(compareEventIds('7', '007-0')).toBe(0);
    expect(compareEventIds('', '1-0')).toBeLessThan(0);
  });

  it('refuses to order a malformed cursor', () => {
    expect(() => compareEventIds('1-0', 'latest')).toThrow('Not an event id: "latest"');
  });
});

describe('task ids', () => {
  it.each(['t', '7', '0197a4c2-6f1e-7b3a-9d21-5c8e04f7a613', 'user@host.example_1', 'a'.repeat(255)])(
    'accepts %s',
    (id) => {
      expect(isTaskId(id)).toBe(true);
    },
  );

  it.each([
    '',
    '-a',
    '.a',
    '_a',
    '@a',
    'a b',
    'a/b',
    'a%2fb',
    'é',
    'a\n',
    'a\0',
    'a'.repeat(256),
    undefined,
    null,
    7,
    ['t'],
  ])('refuses %j', (id) => {
    expect(isTaskId(id)).toBe(false);
  });
});
