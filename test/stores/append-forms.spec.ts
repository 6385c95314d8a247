import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { prepareAppend, type PreparedAppend } from '../../lib/stores/append-command.js';
import { appendStatement, plainAppendStatement, singleAppendStatement } from '../../lib/stores/append.sql.js';
import { rawRows } from '../../lib/stores/raw-query.js';
import { type TableNames, tableNames } from '../../lib/stores/table-names.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';

const ROUNDS = 200;
const SEED = 2_026;
const TASKS = 6;
const FLUSH = 12;

/** Mulberry32: the same numbers for the same seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What a flush did: a verdict per append, and what tasks and logs look like afterwards, times left out. */
interface Effect {
  verdicts: unknown[];
  tasks: unknown[];
  events: unknown[];
}

describe('the statements for plain appends', () => {
  let opened: OpenTestDatabase;
  let tables: TableNames;

  beforeAll(async () => {
    opened = await openTestDatabase();
    tables = tableNames(opened.dataSource);
  });
  afterAll(() => opened.close());

  /** Tasks in every state, some with events of the attempt and of the one before it. */
  async function randomTasks(manager: EntityManager, random: (below: number) => number): Promise<string[]> {
    const taskIds = Array.from({ length: TASKS }, () => uuidv7());
    for (const taskId of taskIds) {
      const [status, attempt, lastNo] = [[1, 1, 1, 0, 2, 4][random(6)], 1 + random(2), random(4)];
      await manager.query(
        `insert into ${tables.tasks} (task_id, owner_id, client_request_id, request_hash, task_type, input, metadata,
           status, attempt, append_no, last_seq) values ($1::uuid, 'ann', $1::text, '', 'test', '{}', '{}', $2, $3, $4::int, $4::int)`,
        [taskId, status, attempt, lastNo],
      );
      await manager.query(
        `insert into ${tables.events} (task_id, seq, type, attempt, append_no, created_at, payload)
         select $1::uuid, n, 1, $2::int - n % 2, n, now(), '{"progress":1}' from generate_series(1, $3::int) as n`,
        [taskId, attempt, lastNo],
      );
    }
    return taskIds;
  }

  /** As the lane builds a flush: the numbers of one attempt ascend. */
  function randomFlush(taskIds: readonly string[], random: (below: number) => number, size: number): PreparedAppend[] {
    const known = [...taskIds, uuidv7()];
    const numbers = new Map<string, number>();
    return Array.from({ length: size }, () => {
      const taskId = known[random(known.length)] ?? '';
      const attempt = random(3);
      const appendNo = (numbers.get(`${taskId} ${attempt}`) ?? random(3)) + 1 + random(2);
      numbers.set(`${taskId} ${attempt}`, appendNo);
      const command = { taskId, attempt, appendNo };
      return random(2) === 0
        ? prepareAppend({ ...command, type: 'TASK_PROGRESS', payload: { progress: 5 } }, 1_000)
        : prepareAppend({ ...command, type: 'TASK_MESSAGE', payload: { message: 'm' } }, 1_000);
    });
  }

  async function judge(manager: EntityManager, statement: string, appends: readonly PreparedAppend[]) {
    const rows = await rawRows(manager, statement, [`[${appends.map(({ record }) => record).join(',')}]`]);
    return new Map(rows.map(([n, seq, outcome]) => [appends[Number(n) - 1], [seq, outcome]] as const));
  }

  async function judgeSingle(manager: EntityManager, append: PreparedAppend) {
    const { taskId, attempt, appendNo, typeCode, payloadJson } = append;
    const values = [taskId, attempt, appendNo, typeCode, payloadJson];
    const rows = await rawRows(manager, singleAppendStatement(tables), values);
    return new Map(rows.map(([, seq, outcome]) => [append, [seq, outcome]] as const));
  }

  /** The effect of `work` from a savepoint on, which is then taken back. */
  async function effectOf(
    manager: EntityManager,
    appends: readonly PreparedAppend[],
    work: () => Promise<Map<PreparedAppend | undefined, unknown>>,
  ): Promise<Effect> {
    await manager.query('savepoint before');
    const verdicts = await work();
    const tasks = await manager.query<unknown[]>(
      `select task_id, status, attempt, append_no, last_seq from ${tables.tasks} order by task_id`,
    );
    const events = await manager.query<unknown[]>(
      `select task_id, seq, type, attempt, append_no, payload::text from ${tables.events} order by task_id, seq`,
    );
    await manager.query('rollback to savepoint before');
    return { verdicts: appends.map((append) => verdicts.get(append)), tasks, events };
  }

  async function eachRound(
    size: number,
    work: (manager: EntityManager, appends: readonly PreparedAppend[]) => Promise<number>,
  ): Promise<number> {
    const random = randomFrom(SEED);
    let taken = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const runner = opened.dataSource.createQueryRunner();
      await runner.startTransaction();
      const appends = randomFlush(await randomTasks(runner.manager, random), random, size);
      taken += await work(runner.manager, appends);
      await runner.rollbackTransaction();
      await runner.release();
    }
    return taken;
  }

  it(`do with ${ROUNDS} random flushes, leftovers included, what the full statement does`, async () => {
    const taken = await eachRound(FLUSH, async (manager, appends) => {
      let plain = new Map<PreparedAppend | undefined, unknown>();
      const inTwoSteps = await effectOf(manager, appends, async () => {
        plain = await judge(manager, plainAppendStatement(tables), appends);
        const left = appends.filter((append) => !plain.has(append));
        return new Map([...plain, ...(await judge(manager, appendStatement(tables, 'wait'), left))]);
      });
      const atOnce = await effectOf(manager, appends, () => judge(manager, appendStatement(tables, 'wait'), appends));
      expect(inTwoSteps).toEqual(atOnce);
      expect(atOnce.verdicts).not.toContain(undefined);
      return plain.size;
    });
    // Neither all nor none of them were plain enough.
    expect(taken).toBeGreaterThan(ROUNDS);
    expect(taken).toBeLessThan((ROUNDS * FLUSH) / 2);
  });

  it('write one append alone as they write it among others', async () => {
    const taken = await eachRound(1, async (manager, appends) => {
      const [append] = appends;
      if (append === undefined) return 0;
      const alone = await effectOf(manager, appends, () => judgeSingle(manager, append));
      const among = await effectOf(manager, appends, () => judge(manager, plainAppendStatement(tables), appends));
      expect(alone).toEqual(among);
      return alone.verdicts[0] === undefined ? 0 : 1;
    });
    expect(taken).toBeGreaterThan(ROUNDS / 20);
    expect(taken).toBeLessThan(ROUNDS);
  });
});
