import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FINDING_CODES, type FindingCode, verifyTaskBridge } from '@taskbridge/nestjs/verification';
import { v7 as uuidv7 } from 'uuid';
import type { SuspensionRequest } from '../../lib/stores/records.js';
import { type OpenTestDatabase, openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { createTask, createTestStores, startTask, type TestStores } from '../support/stores.js';

interface Corruption {
  code: FindingCode;
  what: string;
  /** The id of a sound task. */
  task: () => Promise<string>;
  /** Statements on that task, $1. */
  statements: string[];
  detail: string | RegExp;
}

const QUESTION: SuspensionRequest = { suspendId: 'q', reasonCode: 'WHICH', allowedActions: ['go'] };
const LONG_AGO = `clock_timestamp() - interval '1 hour'`;
const SOON = `clock_timestamp() + interval '1 hour'`;

/** Appends an event as the append statement does, without asking whether it is legal. */
const event = (type: number, members: { attempt?: string; no?: string; payload?: string } = {}): string => {
  const { attempt = 'null', no = 'null', payload = '{}' } = members;
  return `with moved as (
    update taskbridge_tasks set last_seq = last_seq + 1 where task_id = $1 returning task_id, last_seq, attempt
  ) insert into taskbridge_events (task_id, seq, type, attempt, append_no, created_at, payload)
  select task_id, last_seq, ${type}, ${attempt}, ${no}, clock_timestamp(), '${payload}'::json from moved`;
};

const set = (columns: string): string => `update taskbridge_tasks set ${columns} where task_id = $1`;
const setSuspension = (columns: string): string => `update taskbridge_suspensions set ${columns} where task_id = $1`;
const setReceipt = (columns: string): string => `update taskbridge_receipts set ${columns} where task_id = $1`;
const setEvents = (columns: string): string => `update taskbridge_events set ${columns} where task_id = $1`;

describe('A verification finds', () => {
  let opened: OpenTestDatabase;
  let stores: TestStores;

  const query = (text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> =>
    opened.dataSource.query(text, values);
  const verify = () => verifyTaskBridge(opened.dataSource, { leaseGraceMs: 0 });
  const codes = async (): Promise<[string, string | null][]> =>
    (await verify()).findings.map(({ code, taskId }) => [code, taskId]);

  const accepted = async (): Promise<string> => {
    const { taskId } = await createTask(stores);
    await stores.registry.markHandoffDelivered(taskId, 'submission');
    return taskId;
  };
  const running = async (): Promise<string> => {
    const { taskId, attempt } = await startTask(stores);
    await stores.registry.markHandoffDelivered(taskId, 'submission');
    await stores.events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress: 10 }, attempt, appendNo: 2 });
    return taskId;
  };
  const asking = async (request: SuspensionRequest = QUESTION): Promise<string> => {
    const taskId = await running();
    await stores.suspensions.openSuspensions({ taskId, attempt: 1, requests: [request] });
    return taskId;
  };
  const answered = async (): Promise<string> => {
    const taskId = await asking();
    await stores.suspensions.acceptActionIfOpen({
      taskId,
      clientActionId: 'a',
      suspendId: 'q',
      actionType: 'go',
      payload: null,
      metadata: null,
      requestHash: 'h',
      acceptedBy: 'ann',
      claimMs: 30_000,
    });
    return taskId;
  };
  const end = async (taskId: string): Promise<string> => {
    await stores.events.append({ taskId, type: 'TASK_COMPLETED', payload: { result: 1 }, attempt: 1, appendNo: 9 });
    return taskId;
  };
  const ended = async (): Promise<string> => end(await running());
  const endedAfterAnswer = async (): Promise<string> => end(await answered());
  const endedWithQuestion = async (): Promise<string> => end(await asking());
  const leased = async (): Promise<string> => {
    const { taskId } = await createTask(stores);
    const processId = uuidv7();
    await stores.leases.heartbeat({ processId, host: 'h-1', pid: 7 }, 60_000, []);
    await stores.leases.grantFirst({ taskId }, processId);
    await stores.registry.markHandoffDelivered(taskId, 'submission');
    return taskId;
  };
  const withFile = async (): Promise<string> => {
    const taskId = await accepted();
    const content = Readable.from([Buffer.alloc(300 * 1024, 7)]);
    const file = await stores.attachments.stage({ position: 0, name: 'a.bin', contentType: 'x/y', content });
    await stores.attachments.bind(taskId, [file]);
    return taskId;
  };
  const removed = (make: () => Promise<string>) => async (): Promise<string> => {
    const taskId = await make();
    for (const table of ['tasks']) await query(`delete from taskbridge_${table} where task_id = $1`, [taskId]);
    return taskId;
  };
  /** Of everything that the task has, only the rows of one table. */
  const only = (table: string): string[] =>
    ['events', 'suspensions', 'receipts', 'attachments']
      .filter((name) => name !== table)
      .map((name) => `delete from taskbridge_${name} where task_id = $1`);
  const accept = (payload: string) => event(4, { payload });
  const suspend = (payload: string) => event(3, { attempt: 'attempt', payload });

  beforeAll(async () => {
    opened = await openTestDatabase();
    stores = createTestStores(opened.dataSource);
  });

  afterAll(async () => {
    await stores.close();
    await opened.close();
  });

  beforeEach(async () => {
    await query(`truncate taskbridge_tasks, taskbridge_events, taskbridge_suspensions, taskbridge_receipts,
      taskbridge_processes, taskbridge_attachments, taskbridge_attachment_chunks`);
  });

  const corruptions: Corruption[] = [
    {
      code: 'SEQ_HOLE',
      what: 'an event missing in the middle',
      task: ended,
      statements: ['delete from taskbridge_events where task_id = $1 and seq = 2'],
      detail: '1 of them, the first after 1',
    },
    {
      code: 'SEQ_HOLE',
      what: 'an event missing right after the floor of retention',
      task: ended,
      statements: [set('retained_from_seq = 2'), 'delete from taskbridge_events where task_id = $1 and seq <= 2'],
      detail: 'the log begins at 3, not at 2',
    },
    {
      code: 'LAST_SEQ_MISMATCH',
      what: 'a count ahead of the log',
      task: running,
      statements: [set('last_seq = 3')],
      detail: 'last_seq is 3, the log ends with 2',
    },
    {
      code: 'LAST_SEQ_MISMATCH',
      what: 'a count without any log',
      task: accepted,
      statements: [set('last_seq = 1')],
      detail: 'last_seq is 1, the log ends with 0',
    },
    {
      code: 'TWO_TERMINALS',
      what: 'a second ending',
      task: ended,
      statements: [event(6)],
      detail: '2 of them, the first at 3',
    },
    {
      code: 'EVENT_AFTER_TERMINAL',
      what: 'a message after the end',
      task: ended,
      statements: [event(2)],
      detail: 'event 4 follows the ending at 3',
    },
    {
      code: 'STARTED_TWICE',
      what: 'a second start',
      task: running,
      statements: [event(0, { attempt: 'attempt' })],
      detail: '2 of them, the first at 1',
    },
    {
      code: 'EVENT_BEFORE_START',
      what: 'progress of a task that never started',
      task: accepted,
      statements: [event(1)],
      detail: 'event 1 comes before any start',
    },
    {
      code: 'EVENT_BEFORE_START',
      what: 'progress before the start',
      task: running,
      statements: [
        `update taskbridge_events set type = 1 - type where task_id = $1`,
        `update taskbridge_tasks t set started_at = e.created_at from taskbridge_events e
         where t.task_id = $1 and e.task_id = $1 and e.seq = 2`,
      ],
      detail: 'event 1 comes before the start at 2',
    },
    {
      code: 'STATUS_MISMATCH',
      what: 'a running task that says it failed',
      task: ended,
      statements: [set('status = 3')],
      detail: 'the status is FAILED, the log says COMPLETED',
    },
    {
      code: 'STATUS_MISMATCH',
      what: 'a started task that says it was only accepted',
      task: running,
      statements: [set('status = 0')],
      detail: 'the status is ACCEPTED, the log says RUNNING',
    },
    {
      code: 'STARTED_AT_MISMATCH',
      what: 'a start at another time',
      task: running,
      statements: [set(`started_at = started_at - interval '1 second'`)],
      detail: /^started_at is .*Z, its event says .*Z$/,
    },
    {
      code: 'FINISHED_AT_MISMATCH',
      what: 'an end without its time',
      task: ended,
      statements: [set('finished_at = null')],
      detail: /^finished_at is nothing, its event says .*Z$/,
    },
    {
      code: 'ATTEMPT_AHEAD',
      what: 'an event of an attempt to come',
      task: running,
      statements: [event(2, { attempt: 'attempt + 1' })],
      detail: 'the log knows attempt 2, the task 1',
    },
    {
      code: 'ATTEMPT_SUPERSEDED',
      what: 'an event of a fenced attempt',
      task: running,
      statements: [set('attempt = 2'), event(2, { attempt: '2' }), event(2, { attempt: '1' })],
      detail: 'event 4 is of an earlier attempt than one before it',
    },
    {
      code: 'APPEND_NO_BEHIND',
      what: 'a task that has forgotten an append',
      task: running,
      statements: [set('append_no = 1')],
      detail: 'attempt 1, the task says 1, the log 2',
    },
    {
      code: 'APPEND_NO_REPEATED',
      what: 'an append that was applied twice',
      task: running,
      statements: [event(2, { attempt: 'attempt', no: '2' })],
      detail: 'attempt 1, number 2',
    },
    {
      code: 'RECEIPT_WITHOUT_EVENT',
      what: 'a receipt of another action than its event',
      task: answered,
      statements: [setEvents(`payload = '{"suspendId":"q","clientActionId":"b"}'`) + ' and type = 4'],
      detail: 'action "a" at 4',
    },
    {
      code: 'ACTION_EVENT_WITHOUT_RECEIPT',
      what: 'an accepted action of an open task without its receipt',
      task: asking,
      statements: [accept('{"suspendId":"q","clientActionId":"b"}')],
      detail: 'event 4, action "b"',
    },
    {
      code: 'RECEIPT_WITHOUT_SUSPENSION',
      what: 'a receipt for a question that nobody asked',
      task: running,
      statements: [
        accept('{"suspendId":"x","clientActionId":"b"}'),
        `insert into taskbridge_receipts (task_id, client_action_id, suspend_id, action_type, request_hash, event_seq,
           accepted_at, resume_state) values ($1, 'b', 'x', 'go', '', 3, clock_timestamp(), 3)`,
      ],
      detail: 'action "b" on "x"',
    },
    {
      code: 'SUSPENSION_WITHOUT_EVENT',
      what: 'a question whose event is another one',
      task: asking,
      statements: [setEvents(`payload = '{"suspendId":"x"}'`) + ' and type = 3'],
      detail: '"q" at 3',
    },
    {
      code: 'SUSPENDED_EVENT_WITHOUT_SUSPENSION',
      what: 'several question events without their questions',
      task: running,
      statements: [suspend('{"suspendId":"x"}'), suspend('{"suspendId":"y"}')],
      detail: '2 of them, such as event 3, "x"',
    },
    {
      code: 'SUSPENSION_OPEN_AFTER_END',
      what: 'an open question of an ended task',
      task: endedWithQuestion,
      statements: [setSuspension('status = 0, resolved_at = null')],
      detail: '"q"',
    },
    {
      code: 'SUSPENSION_WITHOUT_RECEIPT',
      what: 'a resolved question without its receipt',
      task: asking,
      statements: [setSuspension(`status = 1, resolved_at = clock_timestamp(), resolved_by = 'b'`)],
      detail: '"q", resolved by "b"',
    },
    {
      code: 'SUSPENSION_STATUS_MISMATCH',
      what: 'an answered question that is open',
      task: answered,
      statements: [setSuspension('status = 0, resolved_at = null, resolved_by = null')],
      detail: '"q", status 0',
    },
    {
      code: 'SUSPENSION_STATUS_MISMATCH',
      what: 'a question that was closed although its task goes on',
      task: asking,
      statements: [setSuspension('status = 3, resolved_at = clock_timestamp()')],
      detail: '"q", status 3',
    },
    {
      code: 'HANDOFF_PENDING_AFTER_END',
      what: 'a pending submission of an ended task',
      task: ended,
      statements: [set(`submission_state = 1, submission_next_try_at = ${SOON}`)],
      detail: 'submission',
    },
    {
      code: 'HANDOFF_PENDING_AFTER_END',
      what: 'a pending cancellation of an ended task',
      task: ended,
      statements: [set(`cancel_state = 1, cancel_requested_at = now(), cancel_next_try_at = ${SOON}`)],
      detail: 'cancellation',
    },
    {
      code: 'HANDOFF_PENDING_AFTER_END',
      what: 'a pending resume of an ended task',
      task: endedAfterAnswer,
      statements: [setReceipt(`resume_state = 1, resume_next_try_at = ${SOON}`)],
      detail: 'resume of "a"',
    },
    {
      code: 'HANDOFF_UNSCHEDULED',
      what: 'a resume that nobody will try',
      task: answered,
      statements: [setReceipt('resume_next_try_at = null')],
      detail: 'resume of "a"',
    },
    {
      code: 'HANDOFF_OVERDUE',
      what: 'a submission that has been pending for an hour',
      task: accepted,
      statements: [
        set(`submission_state = 1, submission_next_try_at = ${SOON}, submission_attempts = 3, created_at = ${LONG_AGO},
          submission_last_error = 'engine down'`),
      ],
      detail: /^submission, since [-\dT:]+Z, 3 tries, last error: engine down$/,
    },
    {
      code: 'DEADLINE_OVERDUE',
      what: 'a task that outlives its deadline',
      task: running,
      statements: [set(`deadline_at = ${LONG_AGO}`)],
      detail: /^deadline .*Z$/,
    },
    {
      code: 'EXPIRY_OVERDUE',
      what: 'a question that outlives its expiry',
      task: asking,
      statements: [setSuspension(`expires_at = ${LONG_AGO}`)],
      detail: /^"q", expired .*Z$/,
    },
    {
      code: 'LEASE_AFTER_END',
      what: 'an ended task in the queue',
      task: ended,
      statements: [set('next_run_at = clock_timestamp()')],
      detail: 'queued',
    },
    {
      code: 'LEASED_AND_QUEUED',
      what: 'a leased task in the queue',
      task: leased,
      statements: [set('next_run_at = clock_timestamp()')],
      detail: /^leased by .*, due .*Z$/,
    },
    {
      code: 'QUEUE_OVERDUE',
      what: 'a task that nobody takes from the queue',
      task: accepted,
      statements: [set(`next_run_at = ${LONG_AGO}`)],
      detail: /^since .*Z$/,
    },
    {
      code: 'LEASE_EXPIRED',
      what: 'a lease of a process that has not renewed it',
      task: leased,
      statements: [
        `update taskbridge_processes p set expires_at = ${LONG_AGO} from taskbridge_tasks t
         where t.task_id = $1 and p.process_id = t.lease_owner`,
      ],
      detail: /^process .* \(h-1, pid 7\), expired .*Z$/,
    },
    {
      code: 'LEASE_EXPIRED',
      what: 'a lease of a process that is not there',
      task: leased,
      statements: [
        `delete from taskbridge_processes p using taskbridge_tasks t
         where t.task_id = $1 and p.process_id = t.lease_owner`,
      ],
      detail: 'attempt 1 is leased by a process that is not registered',
    },
    {
      code: 'TASK_STRANDED',
      what: 'a delivered answer that no run takes',
      task: answered,
      statements: [set('suspended_at = clock_timestamp()'), setReceipt('resume_state = 2, resume_next_try_at = null')],
      detail: /^attempt 1, since .*Z$/,
    },
    {
      code: 'ATTACHMENT_MISMATCH',
      what: 'a file of another size',
      task: withFile,
      statements: ['update taskbridge_attachments set size_bytes = 5 where task_id = $1'],
      detail: '"a.bin": 307200 bytes in 2 chunks instead of 5 bytes',
    },
    {
      code: 'ATTACHMENT_MISMATCH',
      what: 'a file with a gap',
      task: withFile,
      statements: [
        `delete from taskbridge_attachment_chunks c using taskbridge_attachments a
         where a.task_id = $1 and a.attachment_id = c.attachment_id and c.chunk_no = 0`,
        'update taskbridge_attachments set size_bytes = 45056 where task_id = $1',
      ],
      detail: '"a.bin": 45056 bytes in 1 chunks instead of 45056 bytes',
    },
    ...(['events', 'suspensions', 'receipts'] as const).map((table): Corruption => ({
      code: `ORPHAN_${table.toUpperCase()}` as FindingCode,
      what: `${table} of a task that is gone`,
      task: removed(answered),
      statements: only(table),
      detail: 'the task does not exist',
    })),
    {
      code: 'ORPHAN_ATTACHMENTS',
      what: 'attachments of a task that is gone',
      task: removed(withFile),
      statements: [],
      detail: 'the task does not exist',
    },
  ];

  it.each(corruptions)('$code: $what', async ({ code, task, statements, detail }) => {
    const sound = [await answered(), await ended(), await accepted(), await withFile(), await leased()];
    const taskId = await task();
    for (const statement of statements) await query(statement, statement.includes('$1') ? [taskId] : []);
    const { findings, counts } = await verify();
    const matching: unknown = typeof detail === 'string' ? detail : expect.stringMatching(detail);
    expect(findings).toEqual([{ code, taskId, detail: matching }]);
    expect(counts).toEqual({ [code]: 1 });
    expect(sound).not.toContain(taskId);
  });

  it('ORPHAN_CHUNKS: bytes of a file that is gone', async () => {
    const taskId = await withFile();
    const [file] = await stores.attachments.list(taskId);
    await query('delete from taskbridge_attachments');
    const detail = `attachment ${file?.attachmentId} does not exist`;
    expect((await verify()).findings).toEqual([{ code: 'ORPHAN_CHUNKS', taskId: null, detail }]);
  });

  it('every code that there is, each in the documented table', () => {
    const tried = new Set<string>([...corruptions.map(({ code }) => code), 'ORPHAN_CHUNKS']);
    expect([...tried].toSorted()).toEqual(Object.keys(FINDING_CODES).toSorted());
    const documented = [...readFileSync('docs/reliability.md', 'utf8').matchAll(/^\| `([A-Z_]+)` +\| (.+?) +\|$/gm)];
    expect(Object.fromEntries(documented.map(([, code, meaning]) => [code, meaning]))).toEqual(FINDING_CODES);
  });

  it('nothing in sound tasks of every kind', async () => {
    const tasks = [accepted, running, asking, answered, ended, endedAfterAnswer, endedWithQuestion, leased, withFile];
    for (const task of tasks) await task();
    const { findings, counts, scanned } = await verify();
    expect({ findings, counts }).toEqual({ findings: [], counts: {} });
    expect(scanned).toEqual({ tasks: 9, events: 21, suspensions: 4, receipts: 2, attachments: 1 });
  });

  it('nothing in an empty database', async () => {
    const { findings, scanned } = await verify();
    expect([findings, scanned.tasks]).toEqual([[], 0]);
  });

  it('nothing where retention has taken the beginning of a log, or all of it', async () => {
    const [trimmed, emptied, open] = [await endedAfterAnswer(), await ended(), await asking()];
    await query('delete from taskbridge_events where task_id = $1 and seq < 4', [trimmed]);
    await query('delete from taskbridge_events where task_id = $1', [emptied]);
    await query('delete from taskbridge_events where task_id = $1 and seq < 3', [open]);
    await query(set('retained_from_seq = 4'), [trimmed]);
    await query(set('retained_from_seq = last_seq + 1'), [emptied]);
    await query(set('retained_from_seq = 3'), [open]);
    expect(await codes()).toEqual([]);
  });

  it('nothing where retention has taken the answers of a task that ended long ago', async () => {
    const taskId = await endedAfterAnswer();
    await query('delete from taskbridge_receipts where task_id = $1', [taskId]);
    const found = async (retainedMs: number) =>
      Object.keys((await verifyTaskBridge(opened.dataSource, { retainedMs })).counts);
    expect(await found(60_000)).toEqual(['ACTION_EVENT_WITHOUT_RECEIPT', 'SUSPENSION_WITHOUT_RECEIPT']);
    await query('delete from taskbridge_suspensions where task_id = $1', [taskId]);
    expect(await found(0)).toEqual([]);
  });

  it('nothing about a lease without a process that is taken over within the grace', async () => {
    const taskId = await leased();
    await query('delete from taskbridge_processes');
    const connection = { connectionString: opened.database.url, application_name: 'waits' };
    const verification = verifyTaskBridge(connection, { leaseGraceMs: 30_000 });
    await eventually(async () => {
      const [{ query: last } = {}] = await query(
        `select query from pg_stat_activity where application_name = 'waits' and state = 'idle'`,
      );
      return String(last).includes('p.process_id = t.lease_owner)');
    });
    await query(set('lease_owner = null, next_run_at = clock_timestamp(), attempt = attempt + 1'), [taskId]);
    expect((await verification).findings).toEqual([]);
  });

  it('all of many, keeps some of them and reads every batch', async () => {
    const tasks = await Promise.all(Array.from({ length: 23 }, () => ended()));
    await query('update taskbridge_tasks set status = 3');
    await query('delete from taskbridge_tasks where task_id = any ($1)', [tasks.slice(0, 11)]);
    const { findings, counts, scanned } = await verifyTaskBridge(opened.dataSource, {
      batchSize: 4,
      maxFindingsPerCode: 5,
    });
    expect(counts).toEqual({ STATUS_MISMATCH: 12, ORPHAN_EVENTS: 11 });
    expect(findings.map(({ code }) => code)).toEqual([
      ...Array<string>(5).fill('STATUS_MISMATCH'),
      ...Array<string>(5).fill('ORPHAN_EVENTS'),
    ]);
    expect(scanned).toMatchObject({ tasks: 12, events: 36 });
  });

  it('the same in a schema of its own, and over a connection of its own', async () => {
    const other = await openTestDatabase({ schema: 'Elsewhere' });
    try {
      const stray = createTestStores(other.dataSource);
      const { taskId } = await startTask(stray);
      await stray.close();
      await other.dataSource.query(`update "Elsewhere".taskbridge_tasks set status = 0`);
      const expected = [{ code: 'STATUS_MISMATCH', taskId, detail: 'the status is ACCEPTED, the log says RUNNING' }];
      expect((await verifyTaskBridge(other.dataSource)).findings).toEqual(expected);
      const source = { connectionString: other.database.url };
      expect((await verifyTaskBridge(source, { schema: 'Elsewhere' })).findings).toEqual(expected);
      await expect(verifyTaskBridge(source)).rejects.toMatchObject({ code: '42P01' });
    } finally {
      await other.close();
    }
  });

  it('an end when it is told to stop, and refuses options that cannot be meant', async () => {
    await ended();
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(verifyTaskBridge(opened.dataSource, { signal })).rejects.toThrow('enough');
    await expect(verifyTaskBridge(opened.dataSource, { batchSize: 0 })).rejects.toThrow(RangeError);
  });
});
