import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openLocalTaskStore } from '@taskbridge/local-store';
import { eventually } from '../../../test/support/eventually.js';
import { migrate } from '../src/migrations.js';
import { MIGRATIONS } from '../src/schema.js';
import { findSqlite } from '../src/sqlite/find-sqlite.js';
import { AnnouncingProcess } from './support/announcing-process.js';
import { CompiledPackage } from './support/compiled-package.js';
import { StoreFolder, pendingIds, start, task, thrownBy } from './support/stores.js';

describe('the file of a local task store', () => {
  let folder: StoreFolder;
  let compiled: CompiledPackage;

  beforeAll(() => {
    compiled = new CompiledPackage();
  });

  afterAll(() => compiled.remove());

  beforeEach(() => {
    folder = new StoreFolder();
  });

  afterEach(() => folder.remove());

  /** A store with an unfinished task, closed. */
  const fill = (chunks = 20): void => {
    const store = folder.open();
    start(store, task('a'));
    for (let n = 0; n < chunks; n += 1) {
      store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: Buffer.alloc(4096, n) });
    }
    store.close();
  };

  const query = (sql: string): unknown => {
    const database = findSqlite()(folder.file);
    database.exec('pragma locking_mode = exclusive');
    const row = database.prepare(sql).get();
    database.close();
    return row && Object.values(row)[0];
  };

  const change = (sql: string): void => {
    const database = findSqlite()(folder.file);
    database.exec(sql);
    database.close();
  };

  /** What another process gets that opens it. */
  const openedElsewhere = async (): Promise<string | undefined> => {
    const worker = new AnnouncingProcess(compiled.program('opening-worker'), [folder.file]);
    await worker.ended();
    return worker.lines[0]?.split(' ')[0];
  };

  const onSmallFileSystem = (use: (mounted: string) => void): void => {
    const mounted = mountSmall(path.join(folder.folder, 'small'));
    if (mounted === undefined) {
      // Without the right to mount one, the file's own limit has to do.
      expect(canMount()).toBe(false);
      return;
    }
    try {
      use(mounted);
    } finally {
      execFileSync('umount', ['--lazy', mounted]);
    }
  };

  it('is private: a new folder has mode 0700 and the files 0600', () => {
    const file = path.join(folder.folder, 'state/worker/task_store.db');
    const store = openLocalTaskStore({ path: file });
    store.recordReceived(task('a'));
    for (const created of ['state', 'state/worker']) expect(mode(path.join(folder.folder, created))).toBe(0o700);
    for (const suffix of ['', '-wal', '.lock']) expect(mode(`${file}${suffix}`)).toBe(0o600);
    store.close();
  });

  it('leaves the mode of a folder that was there', () => {
    chmodSync(folder.folder, 0o755);
    folder.open();
    expect(statSync(folder.folder).mode & 0o777).toBe(0o755);
  });

  it('has two tables of tasks and messages, a write-ahead log and a version', () => {
    const store = folder.open();
    expect(readdirSync(folder.folder).toSorted()).toEqual(['task_store.db', 'task_store.db-wal', 'task_store.db.lock']);
    store.close();
    expect(query('pragma user_version')).toBe(MIGRATIONS.length);
    expect(query("select count(*) from sqlite_schema where name like 'local_task_%' and type = 'table'")).toBe(4);
    expect(query('select count(*) from local_task_executions')).toBe(0);
    expect(query('select count(*) from local_task_outbox_messages')).toBe(0);
  });

  it('refuses a file of a newer version and leaves it alone', () => {
    fill();
    change('pragma user_version = 99');
    const before = query('select count(*) from local_task_outbox_messages');
    expect(thrownBy(() => folder.open())).toMatchObject({
      code: 'STORE_NEWER',
      fileVersion: 99,
      supportedVersion: MIGRATIONS.length,
      message: expect.stringContaining('has version 99; this package knows 2'),
    });
    expect(query('pragma user_version')).toBe(99);
    expect(query('select count(*) from local_task_outbox_messages')).toBe(before);
  });

  it('refuses a database of something else and leaves it alone', () => {
    change('create table notes (text)');
    const before = readFileSync(folder.file);
    expect(thrownBy(() => folder.open({ onCorrupt: 'set-aside' })).code).toBe('STORE_FOREIGN');
    expect(readFileSync(folder.file).equals(before)).toBe(true);
  });

  it('is open in one process at a time', async () => {
    const store = folder.open();
    const second = new AnnouncingProcess(compiled.program('opening-worker'), [folder.file]);
    await second.ended();
    expect(second.lines).toEqual([
      `STORE_LOCKED The local task store ${folder.file} is open elsewhere; one process at a time may use it`,
    ]);
    expect(thrownBy(() => folder.open()).code).toBe('STORE_LOCKED');
    store.close();

    const owner = new AnnouncingProcess(compiled.program('opening-worker'), [folder.file]);
    await eventually(() => owner.lines.length > 0);
    expect(owner.lines).toEqual(['open']);
    expect(thrownBy(() => folder.open()).code).toBe('STORE_LOCKED');
    // The lock goes with the process, however that ends.
    owner.kill();
    await owner.ended();
    expect(folder.open().snapshot().running).toEqual([]);
  });

  it('is found with its log by a symbolic link to it', () => {
    const killed = path.join(folder.folder, 'killed.db');
    const link = path.join(folder.folder, 'link.db');
    symlinkSync('killed.db', link);
    openLocalTaskStore({ path: link }).close();
    expect(readdirSync(folder.folder).filter((name) => name.startsWith('link'))).toEqual(['link.db']);
    const store = folder.open();
    start(store, task('a'));
    store.recordFinal({ ...task('a'), status: 'completed', payload: 'ok' });
    // As a kill leaves it: the pages that the log alone has are missing in the file.
    for (const suffix of ['', '-wal']) copyFileSync(`${folder.file}${suffix}`, `${killed}${suffix}`);
    const again = folder.open({ path: link, onCorrupt: 'set-aside' });
    expect(again.setAsidePath).toBeNull();
    expect(pendingIds(again)).toEqual(['a/attempt-1/final']);
  });

  it('stays locked for other processes when this one tries to open it again', async () => {
    const store = folder.open();
    start(store, task('a'));
    const link = path.join(folder.folder, 'link.db');
    const hardLink = path.join(folder.folder, 'hard.db');
    symlinkSync(folder.file, link);
    linkSync(folder.file, hardLink);
    for (const file of [folder.file, link, hardLink]) {
      for (const onCorrupt of ['fail', 'set-aside'] as const) {
        expect(thrownBy(() => folder.open({ path: file, onCorrupt })).code).toBe('STORE_LOCKED');
      }
    }
    const second = new AnnouncingProcess(compiled.program('opening-worker'), [folder.file]);
    await eventually(() => second.lines.length > 0);
    expect(second.lines[0]).toMatch(/^STORE_LOCKED /);
    await second.ended();
    expect(store.recordFinal({ ...task('a'), status: 'completed' }).duplicate).toBe(false);
    store.close();
    expect(folder.open().taskState('a', 'attempt-1')?.status).toBe('final');
  });

  it('stays locked for other processes after a damaged file was set aside', async () => {
    fill();
    overwrite(folder.file, 0, 100);
    const store = folder.open({ onCorrupt: 'set-aside' });
    const second = new AnnouncingProcess(compiled.program('opening-worker'), [folder.file]);
    await eventually(() => second.lines.length > 0);
    expect(second.lines[0]).toMatch(/^STORE_LOCKED /);
    await second.ended();
    expect(start(store, task('b'))).toEqual(task('b'));
  });

  it('is not locked any more once it was refused as damaged', async () => {
    for (const damage of Object.values(damages)) {
      rmSync(folder.file, { force: true });
      rmSync(`${folder.file}-wal`, { force: true });
      fill();
      damage();
      expect(thrownBy(() => folder.open()).code).toBe('STORE_CORRUPT');
      expect(await openedElsewhere()).toBe('STORE_CORRUPT');
    }
  });

  it('is refused as newer also when only its log tells', () => {
    folder.open().close();
    const newer = path.join(folder.folder, 'newer.db');
    const database = findSqlite()(folder.file);
    database.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma user_version = 99');
    for (const suffix of ['', '-wal']) copyFileSync(`${folder.file}${suffix}`, `${newer}${suffix}`);
    database.close();
    expect(thrownBy(() => folder.open({ path: newer }))).toMatchObject({ code: 'STORE_NEWER', fileVersion: 99 });
    // Nothing holds it.
    const again = findSqlite()(newer);
    again.exec('pragma locking_mode = exclusive; begin exclusive; rollback');
    again.close();
  });

  it('is brought from version 1 to the newest with all that is in it', () => {
    const old = findSqlite()(folder.file);
    migrate(old, MIGRATIONS.slice(0, 1));
    old.exec(VERSION_1_STORE);
    old.close();
    let store = folder.open({ spoolCapBytes: 1000, terminalReserveBytes: 300 });
    expect(store.snapshot()).toMatchObject({
      running: [{ taskId: 'runs' }],
      received: [{ taskId: 'waits' }],
      unackedFinals: [{ taskId: 'ended', status: 'completed', exitCode: 0, byteCount: 2 }],
      outputRanges: [{ taskId: 'runs', stream: 'stdout', firstSequence: 4, lastSequence: 5, chunks: 2 }],
      truncations: [{ stream: 'stdout', sequence: 1, lastSequence: 2, droppedChunks: 2, droppedBytes: 20 }],
    });
    expect(store.snapshot().spool).toEqual({
      capBytes: 1000,
      terminalReserveBytes: 300,
      usedBytes: 8,
      chunkBytes: 6,
      finalBytes: 2,
      openTasks: 2,
      reservedBytes: 600,
      pendingMessages: 4,
      pendingChunks: 2,
      pendingFinals: 1,
      rotatedChunks: 2,
      rotatedBytes: 20,
    });
    const sequences = ['stdout', 'stderr', 'other'].map(
      (stream) => store.appendOutputChunk({ ...task('runs'), stream, payload: 'x' }).sequence,
    );
    expect(sequences).toEqual([6, 8, 1]);
    store.recordFinal({ ...task('waits'), status: 'completed', payload: 'y'.repeat(400) });
    store.close();
    store = folder.open({ spoolCapBytes: 1000, terminalReserveBytes: 10 });
    expect(store.snapshot().spool).toMatchObject({ finalBytes: 302, reservedBytes: 300, pendingMessages: 8 });
    expect(store.appendOutputChunk({ ...task('runs'), stream: 'stderr', payload: 'x' }).sequence).toBe(9);
    store.close();
    expect(query('pragma user_version')).toBe(MIGRATIONS.length);
    expect(query('select group_concat(stream) from local_task_streams')).toBe('stderr');
  });

  it('leaves nothing open, and no lock, beside a file that it refuses', () => {
    for (const sql of ['create table notes (text)', 'pragma application_id = 7', 'pragma user_version = 3']) {
      rmSync(folder.file, { force: true });
      change(sql);
      expect(thrownBy(() => folder.open()).code).toBe('STORE_FOREIGN');
      expect(readdirSync(folder.folder)).toEqual(['task_store.db']);
      const database = findSqlite()(folder.file);
      database.exec('create table more (text)');
      database.close();
    }
  });

  it.each([0, 1, 99, null])(
    'that has %s bytes left beside its log is refused with the log untouched',
    async (bytes) => {
      const owner = new AnnouncingProcess(compiled.program('opening-worker'), [folder.file]);
      await eventually(() => owner.lines.length > 0);
      expect(owner.lines).toEqual(['open']);
      owner.kill();
      await owner.ended();
      const log = readFileSync(`${folder.file}-wal`);
      expect(log.byteLength).toBeGreaterThan(0);
      if (bytes === null) rmSync(folder.file);
      else truncateSync(folder.file, bytes);
      const files = readdirSync(folder.folder);
      expect(thrownBy(() => folder.open()).code).toBe('STORE_CORRUPT');
      expect(readdirSync(folder.folder)).toEqual(files);
      expect(readFileSync(`${folder.file}-wal`).equals(log)).toBe(true);
      const store = folder.open({ onCorrupt: 'set-aside' });
      expect(readFileSync(`${store.setAsidePath}-wal`).equals(log)).toBe(true);
      expect(store.snapshot().spool.openTasks).toBe(0);
    },
  );

  it('that has lost its version is refused as damaged', () => {
    for (const version of [0, -1]) {
      fill(1);
      change(`pragma user_version = ${version}`);
      expect(thrownBy(() => folder.open())).toMatchObject({
        code: 'STORE_CORRUPT',
        message: expect.stringContaining(`its version is ${version}`),
      });
      rmSync(folder.file);
    }
  });

  it.each(['drop table local_task_outbox_messages', 'delete from local_task_spool'])(
    'is refused as damaged after: %s',
    (sql) => {
      folder.open().close();
      change(sql);
      expect(thrownBy(() => folder.open()).code).toBe('STORE_CORRUPT');
      rmSync(folder.file);
      folder.open().close();
      change(sql);
      expect(folder.open({ onCorrupt: 'set-aside' }).setAsidePath).not.toBeNull();
    },
  );

  it('is opened by one of many processes that start at once', async () => {
    const crowd = Array.from(
      { length: 6 },
      () =>
        new AnnouncingProcess(compiled.program('opening-worker'), [
          path.join(folder.folder, 'new/state/task_store.db'),
        ]),
    );
    await eventually(() => crowd.every(({ lines }) => lines.length > 0), 30_000);
    const first = crowd.flatMap(({ lines }) => lines.slice(0, 1).map((line) => line.split(' ')[0]));
    expect(first.toSorted()).toEqual([...Array<string>(5).fill('STORE_LOCKED'), 'open']);
    for (const one of crowd) one.kill();
    await Promise.all(crowd.map((one) => one.ended()));
  });

  it('stays at its version when it is killed in a migration, and goes on from there', async () => {
    fill();
    for (let kill = 0; kill < 6; kill += 1) {
      const worker: AnnouncingProcess = new AnnouncingProcess(
        compiled.program('migrating-worker'),
        [folder.file, '5'],
        (line) => {
          if (line === 'migrating') setTimeout(() => worker.kill(), kill * 25);
        },
      );
      await worker.ended();
      const version = Number(query('pragma user_version'));
      const tables = query("select count(*) from sqlite_schema where name like 'version_%'");
      expect(tables).toBe(version - MIGRATIONS.length);
    }
    const last = new AnnouncingProcess(compiled.program('migrating-worker'), [folder.file, '5']);
    expect(await last.ended()).toBe(0);
    expect(query('pragma user_version')).toBe(5);
    expect(query('select count(*) from version_5 where done = 5')).toBe(200_000);
    expect(query('select count(*) from local_task_outbox_messages')).toBe(20);
  });

  it('applies each migration once', () => {
    fill();
    const database = findSqlite()(folder.file);
    const migrations = [...MIGRATIONS, 'create table later (n)'];
    migrate(database, migrations);
    migrate(database, migrations);
    expect(database.prepare('pragma user_version').get()).toMatchObject({ user_version: 3 });
    expect(() => migrate(database, [...migrations, 'create table later (n)'])).toThrow('already exists');
    database.exec('rollback');
    expect(database.prepare('pragma user_version').get()).toMatchObject({ user_version: 3 });
    database.close();
  });

  const damages: Record<string, () => void> = {
    'is no database': () => writeFileSync(folder.file, 'not a database'.repeat(1000)),
    'is cut off': () => truncateSync(folder.file, statSync(folder.file).size - 20_000),
    'is cut off in its first page': () => truncateSync(folder.file, 2000),
    'has lost its head': () => overwrite(folder.file, 0, 100),
    'is overwritten in the middle': () => overwrite(folder.file, 8192, 40_000),
  };

  it.each(Object.keys(damages))(
    'that %s is refused, stays where it is, and is set aside when that is asked for',
    (kind) => {
      fill();
      damages[kind]?.();
      const damaged = readFileSync(folder.file);
      for (let restart = 0; restart < 2; restart += 1) {
        expect(thrownBy(() => folder.open())).toMatchObject({
          code: 'STORE_CORRUPT',
          message: expect.stringMatching(/task_store\.db is damaged \(.+\); keep the file and open with onCorrupt/),
        });
        expect(readFileSync(folder.file).equals(damaged)).toBe(true);
      }
      const store = folder.open({ onCorrupt: 'set-aside' });
      expect(store.setAsidePath).toMatch(/task_store\.db\.corrupt-\d{4}-/);
      expect(readFileSync(store.setAsidePath ?? '').equals(damaged)).toBe(true);
      expect(store.snapshot().spool).toMatchObject({ openTasks: 0, pendingMessages: 0 });
      start(store, task('b'));
      store.close();
      const again = folder.open({ onCorrupt: 'set-aside' });
      expect(again.setAsidePath).toBeNull();
      expect(again.taskState('b', 'attempt-1')?.status).toBe('running');
    },
  );

  it('is refused as damaged where a name is no UTF-8, and takes every name that is', () => {
    const names = ['UNIQUE', '\u00e9\u754c\u{1f600}\ufffd', '\u0001\u007f\u0080\uffff'];
    const store = folder.open();
    for (const name of names) start(store, task(name, name));
    store.close();
    expect(
      folder
        .open()
        .snapshot()
        .running.map(({ taskId }) => taskId),
    ).toEqual(names);
    folder.remove();
    folder = new StoreFolder();
    const damaged = folder.open();
    start(damaged, task('UNIQUE'));
    damaged.close();
    const bytes = readFileSync(folder.file);
    for (let at = bytes.indexOf('UNIQUE'); at >= 0; at = bytes.indexOf('UNIQUE', at + 1)) bytes[at + 3] = 0xff;
    writeFileSync(folder.file, bytes);
    expect(thrownBy(() => folder.open()).code).toBe('STORE_CORRUPT');
    expect(folder.open({ onCorrupt: 'set-aside' }).setAsidePath).not.toBeNull();
  });

  it('is refused where it cannot be created or written', async () => {
    const blocked = path.join(folder.folder, 'a-file');
    writeFileSync(blocked, '');
    for (const file of [path.join(blocked, 'task_store.db'), folder.folder, '/proc/no/task_store.db']) {
      expect(thrownBy(() => openLocalTaskStore({ path: file }))).toMatchObject({
        code: 'STORE_UNAVAILABLE',
        path: file,
      });
    }
  });

  it('is refused where this user may not write', () => {
    folder.open().close();
    const missing = path.join(folder.folder, 'new.db');
    asUnprivileged(() => {
      chmodSync(folder.folder, 0o555);
      expect(thrownBy(() => openLocalTaskStore({ path: missing })).code).toBe('STORE_UNAVAILABLE');
      chmodSync(folder.file, 0o444);
      expect(thrownBy(() => folder.open()).code).toBe('STORE_UNAVAILABLE');
      chmodSync(folder.file, 0o000);
      expect(thrownBy(() => folder.open()).code).toBe('STORE_UNAVAILABLE');
    }, [folder.folder, folder.file, `${folder.file}.lock`]);
    chmodSync(folder.folder, 0o700);
    chmodSync(folder.file, 0o600);
    expect(folder.open().snapshot().spool.openTasks).toBe(0);
  });

  it('is refused on a file system that is mounted read-only', () => {
    onSmallFileSystem((mounted) => {
      const file = path.join(mounted, 'task_store.db');
      folder.open().close();
      copyFileSync(folder.file, file);
      execFileSync('mount', ['-o', 'remount,ro', mounted]);
      for (const name of [file, path.join(mounted, 'new.db')]) {
        expect(thrownBy(() => openLocalTaskStore({ path: name })).code).toBe('STORE_UNAVAILABLE');
      }
    });
  });

  it('is left as it was by a full disk, and works again when there is room', () => {
    const store = folder.open({ spoolCapBytes: 400_000, maxFileBytes: 400_000, terminalReserveBytes: 150_000 });
    start(store, task('a'));
    const chunk = { ...task('a'), stream: 'stdout', payload: Buffer.alloc(4096, 120) };
    const error = thrownBy(() => {
      for (let n = 0; n < 5000; n += 1) store.appendOutputChunk(chunk);
    });
    expect(error).toMatchObject({ code: 'STORE_DISK_FULL', message: expect.stringContaining(folder.file) });
    const { spool } = store.snapshot();
    expect(spool.pendingChunks).toBeGreaterThan(50);
    expect(pendingIds(store)).toHaveLength(spool.pendingChunks);
    expect(thrownBy(() => store.appendOutputChunk(chunk)).code).toBe('STORE_DISK_FULL');
    for (const id of pendingIds(store).slice(0, 10)) expect(store.ackMessage(id)).toBe(true);
    expect(store.appendOutputChunk(chunk).sequence).toBe(spool.pendingChunks + 1);
  });

  it('gives up output, not a final, when the disk is full', () => {
    const store = folder.open({ spoolCapBytes: 400_000, maxFileBytes: 400_000, terminalReserveBytes: 150_000 });
    start(store, task('a'));
    thrownBy(() => {
      for (let n = 0; n < 5000; n += 1)
        store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: Buffer.alloc(4096, 120) });
    });
    store.recordFinal({ ...task('a'), status: 'completed', exitCode: 0, payload: Buffer.alloc(150_000, 121) });
    const { pendingFinals, finalBytes, rotatedChunks, usedBytes } = store.snapshot().spool;
    expect({ pendingFinals, finalBytes }).toEqual({ pendingFinals: 1, finalBytes: 150_000 });
    expect(rotatedChunks).toBeGreaterThan(0);
    expect(usedBytes).toBe([...store.unackedMessages()].reduce((sum, { payload }) => sum + payload.byteLength, 0));
    expect(store.taskState('a', 'attempt-1')).toMatchObject({ status: 'final', outputTruncated: true });
  });

  it('keeps room for finals and acknowledgements on a file system that its output fills', () => {
    onSmallFileSystem((mounted) => {
      const file = path.join(mounted, 'task_store.db');
      const open = () => openLocalTaskStore({ path: file, terminalReserveBytes: 300_000 });
      let store = open();
      for (const id of ['a', 'b']) start(store, task(id));
      const error = thrownBy(() => {
        for (let n = 0; n < 5000; n += 1) {
          store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: Buffer.alloc(4096, 120) });
        }
      });
      expect(error.code).toBe('STORE_DISK_FULL');
      expect(store.snapshot().spool.pendingChunks).toBeGreaterThan(300);
      store.recordFinal({ ...task('a'), status: 'completed', payload: Buffer.alloc(300_000, 121) });
      expect(store.ackMessage('a/attempt-1/stdout/1')).toBe(true);
      store.close();
      // Others fill what is left.
      const ballast = path.join(mounted, 'ballast');
      writeFileSync(ballast, Buffer.alloc(statfsSync(mounted).bavail * 4096 - 122_880));
      store = open();
      expect(store.markInterruptedRunningTasks()).toHaveLength(1);
      for (const id of pendingIds(store)) store.ackMessage(id);
      expect(pendingIds(store)).toEqual([]);
      rmSync(ballast);
      store.close();
    });
  });

  it('keeps room for the finals of many open tasks, and for all acknowledgements, on a file system of its own', () => {
    onSmallFileSystem((mounted) => {
      const file = path.join(mounted, 'task_store.db');
      const open = () => openLocalTaskStore({ path: file, terminalReserveBytes: 65_536 });
      let store = open();
      const tasks = Array.from({ length: 10 }, (_, n) => `t${n}`);
      for (const id of tasks) start(store, task(id));
      const error = thrownBy(() => {
        for (let n = 0; n < 5000; n += 1) {
          store.appendOutputChunk({ ...task(`t${n % 10}`), stream: 'stdout', payload: Buffer.alloc(4096, 120) });
        }
      });
      expect(error.code).toBe('STORE_DISK_FULL');
      for (const id of tasks) store.recordFinal({ ...task(id), status: 'completed', payload: Buffer.alloc(65_536, 1) });
      for (const id of pendingIds(store)) expect(store.ackMessage(id)).toBe(true);
      store.close();
      store = open();
      expect(pendingIds(store)).toEqual([]);
      store.close();
    });
  });

  it('has a log in proportion to the cap', () => {
    const store = folder.open({ spoolCapBytes: 1_048_576, terminalReserveBytes: 65_536 });
    start(store, task('a'));
    for (let n = 0; n < 1000; n += 1) {
      store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: Buffer.alloc(4096, 120) });
    }
    expect(statSync(`${folder.file}-wal`).size).toBeLessThan(600_000);
  });

  it('survives a file system that runs full', () => {
    onSmallFileSystem((mounted) => {
      const file = path.join(mounted, 'task_store.db');
      const ballast = path.join(mounted, 'ballast');
      writeFileSync(ballast, Buffer.alloc(2_000_000));
      let store = openLocalTaskStore({ path: file });
      start(store, task('a'));
      const error = thrownBy(() => {
        for (let n = 0; n < 5000; n += 1) {
          store.appendOutputChunk({ ...task('a'), stream: 'stdout', payload: Buffer.alloc(4096, 120) });
        }
      });
      expect(error.code).toBe('STORE_DISK_FULL');
      const stored = pendingIds(store);
      expect(stored).toHaveLength(store.snapshot().spool.pendingChunks);
      expect(thrownBy(() => store.recordReceived(task('b', 'x'.repeat(255)))).code).toBe('STORE_DISK_FULL');
      expect(store.taskState('b', 'x'.repeat(255))).toBeUndefined();
      rmSync(ballast);
      store.recordFinal({ ...task('a'), status: 'completed', payload: Buffer.alloc(100_000, 121) });
      store.close();
      store = openLocalTaskStore({ path: file });
      expect(pendingIds(store)).toEqual([...stored, 'a/attempt-1/final']);
      store.close();
    });
  });
});

/** As version 1 stored it: chunks 1 and 2 of stdout were rotated out, 3 and all seven of stderr acknowledged. */
const VERSION_1_STORE = `
insert into local_task_executions (id, task_id, execution_attempt_id, status, stream_marks, received_at_ms)
values (1, 'runs', 'attempt-1', 'received', '[["stderr",7]]', 1), (2, 'waits', 'attempt-1', 'received', '[]', 2),
  (3, 'ended', 'attempt-1', 'received', '[["stdout",1]]', 3);
update local_task_executions set status = 'running', started_at_ms = 4, output_truncated = 1 where id = 1;
update local_task_executions set status = 'final', final_status = 'completed', exit_code = 0, ended_at_ms = 5 where id = 3;
insert into local_task_outbox_messages
  (message_no, execution_id, kind, stream, sequence, last_sequence, dropped_chunks, dropped_bytes, byte_count, payload)
values (1, 1, 'truncation', 'stdout', 1, 2, 2, 20, 0, x''), (4, 1, 'output', 'stdout', 4, 4, 0, 0, 3, x'616263'),
  (5, 3, 'final', '', 0, 0, 0, 0, 2, x'6f6b'), (6, 1, 'output', 'stdout', 5, 5, 0, 0, 3, x'646566');
update local_task_spool set rotated_chunks = 2, rotated_bytes = 20, first_chunk_no = 2`;

/** Runs it as a user that the modes of files hold for: root is bound by none. */
function asUnprivileged(use: () => void, files: readonly string[]): void {
  const nobody = 65_534;
  if (process.getuid?.() !== 0 || process.seteuid === undefined) {
    use();
    return;
  }
  for (const file of files) chownSync(file, nobody, nobody);
  process.seteuid(nobody);
  try {
    use();
  } finally {
    process.seteuid(0);
  }
}

const mode = (name: string): number => statSync(name).mode & 0o777;

function overwrite(file: string, from: number, bytes: number): void {
  const content = readFileSync(file);
  content.fill(0xa5, from, Math.min(from + bytes, content.length));
  writeFileSync(file, content);
}

/** A file system of 6 MiB in memory; undefined where mounting is not allowed. */
function mountSmall(folder: string): string | undefined {
  try {
    mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder], { stdio: 'ignore' });
    return folder;
  } catch {
    return undefined;
  }
}

function canMount(): boolean {
  const probe = path.join(tmpdir(), `taskbridge-mount-${process.pid}`);
  const mounted = mountSmall(probe);
  if (mounted !== undefined) execFileSync('umount', [mounted]);
  rmSync(probe, { recursive: true });
  return mounted !== undefined;
}
