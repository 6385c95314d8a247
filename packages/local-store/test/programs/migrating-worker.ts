import { writeSync } from 'node:fs';
import { migrate } from '../../src/migrations.js';
import { MIGRATIONS } from '../../src/schema.js';
import { findSqlite } from '../../src/sqlite/find-sqlite.js';

// Brings a file to the version that is given, by made-up migrations that take a while; says when it begins.

const [file = '', versionText = '2'] = process.argv.slice(2);
const database = findSqlite()(file);
database.exec('pragma locking_mode = exclusive; pragma journal_mode = wal');
const slow = (version: number) => `
create table version_${version} (n integer);
insert into version_${version} with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 200000)
select n from numbers;
alter table version_${version} add column done integer default ${version}`;
const later = Array.from({ length: Number(versionText) - MIGRATIONS.length }, (_, index) =>
  slow(index + MIGRATIONS.length + 1),
);
writeSync(1, 'migrating\n');
migrate(database, [...MIGRATIONS, ...later]);
writeSync(1, 'migrated\n');
