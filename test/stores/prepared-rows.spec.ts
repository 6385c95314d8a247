import { preparedRows, rawRows } from '../../lib/stores/raw-query.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';

const SELECT = 'select n.value from numbers n where n.id = $1';
const PREPARED = `select count(*)::int from pg_prepared_statements where name like 'taskbridge%'`;

describe("A statement prepared on the host's pool", () => {
  let opened: OpenTestDatabase;

  beforeEach(async () => {
    // One connection, so that every statement meets what the one before it has left there.
    opened = await openTestDatabase({ poolSize: 1 });
    await opened.dataSource.query('create table numbers (id integer primary key, value integer)');
    await opened.dataSource.query('insert into numbers values (1, 10)');
  });
  afterEach(() => opened.close());

  const select = () => preparedRows(opened.dataSource, SELECT, [1]);
  const prepared = async (): Promise<unknown> => (await rawRows(opened.dataSource, PREPARED, []))[0]?.[0];

  it('is prepared once', async () => {
    for (let call = 0; call < 3; call += 1) expect(await select()).toEqual([[10]]);
    expect(await prepared()).toBe(1);
  });

  it('is sent as text in a transaction', async () => {
    await opened.dataSource.transaction(async (manager) => {
      expect(await preparedRows(manager, SELECT, [1])).toEqual([[10]]);
    });
    expect(await prepared()).toBe(0);
  });

  it.each([
    ['the host has discarded what was prepared', 'discard all'],
    ['the host has changed the type of a column', 'alter table numbers alter column value type bigint'],
  ])('works where %s', async (_, statement) => {
    await select();
    await opened.dataSource.query(statement);
    expect(await select()).toEqual([[10]]);
    expect(await select()).toEqual([[10]]);
  });

  it('fails as itself for what is wrong with its values', async () => {
    await select();
    await expect(preparedRows(opened.dataSource, SELECT, ['x'])).rejects.toMatchObject({ code: '22P02' });
    expect(await select()).toEqual([[10]]);
  });
});
