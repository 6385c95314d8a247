const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+)?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/i;
const MINUTES_PER_DAY = 24 * 60;

/**
 * Tells whether a text is a `date-time` of RFC 3339, section 5.6: real calendar day, `T`, seconds, and an offset that
 * is never left out. Second 60 counts only in the last minute of a UTC day, and `Date` cannot parse it.
 */
export function isDateTime(text: string): boolean {
  const match = DATE_TIME.exec(text);
  if (match === null) {
    return false;
  }
  const [, year, month, day, hour, minute, second, sign, offsetHour, offsetMinute] = match;
  if (Number(day) < 1 || Number(day) > daysInMonth(Number(year), Number(month))) {
    return false;
  }
  if (second !== '60') {
    return true;
  }
  const offset = (sign === '-' ? -1 : 1) * (Number(offsetHour ?? 0) * 60 + Number(offsetMinute ?? 0));
  const utcMinute = Number(hour) * 60 + Number(minute) - offset;
  return (utcMinute + MINUTES_PER_DAY) % MINUTES_PER_DAY === MINUTES_PER_DAY - 1;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) {
    return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  }
  if (month < 1 || month > 12) {
    return 0;
  }
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
