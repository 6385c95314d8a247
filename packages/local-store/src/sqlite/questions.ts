import { SQLITE, SqliteFailure, type SqliteDatabase } from './sqlite-database.js';

// What is asked of a file before it is known to be a sound store is asked without prepared statements: those of libsql
// keep the connection, and with it the locks on a file that is refused, until they are collected as garbage.

const LOWEST = -(2 ** 31);
const HIGHEST = 2 ** 31 - 1;

/** Whether a condition in SQL holds: a violated constraint is the only answer that a script gives. */
export function holds(database: SqliteDatabase, condition: string): boolean {
  try {
    database.exec(`
create temp table if not exists local_task_question (answer integer check (answer is 1));
insert into local_task_question select ${condition};
drop table local_task_question`);
    return true;
  } catch (error) {
    if (error instanceof SqliteFailure && error.resultCode === SQLITE.constraint) return false;
    throw error;
  }
}

/** The value of a pragma, a whole number of 32 bits: found by halving. */
export function numberOf(
  database: SqliteDatabase,
  pragma: 'user_version' | 'application_id' | 'page_size' | 'page_count',
): number {
  let [low, high] = [LOWEST, HIGHEST];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(database, `${pragma} >= ${middle} from pragma_${pragma}`)) low = middle;
    else high = middle - 1;
  }
  return low;
}
