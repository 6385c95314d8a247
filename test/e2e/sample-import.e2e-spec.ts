import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { TaskContext } from '@taskbridge/nestjs';
import { CLOSE_CODES, type TaskEvent, type TaskSuspendedPayload } from '@taskbridge/protocol';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Contact } from '../../sample/src/contacts/contact.entity.js';
import { ContactsWriter } from '../../sample/src/contacts/contacts.writer.js';
import { startSample, type RunningSample } from '../../sample/src/start-sample.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { SampleClient } from '../support/sample-client.js';

const HEADER = 'name,email,phone,company\n';
const GOOD = 'Ada Abel,ada@example.com,+1 555 000 0001,Quill\n';
const BAD = 'Ben Brandt,nowhere,+1 555 000 0002,Quill\n';

describe('sample: import of contacts', () => {
  let database: TestDatabase;
  let sample: RunningSample;
  let client: SampleClient;

  beforeAll(async () => {
    database = await createTestDatabase();
    sample = await startSample({ host: '127.0.0.1', port: 0, databaseUrl: database.url, logLevels: ['error'] });
    client = new SampleClient(sample.url);
  });

  afterAll(async () => {
    await sample?.app.close();
    await database?.drop();
  });

  const contactsOf = (taskId: string) => sample.app.get(DataSource).getRepository(Contact).countBy({ taskId });

  /** Follows the import and answers its question with the action. */
  const runImport = async (csv: string, action: string): Promise<{ taskId: string; events: TaskEvent[] }> => {
    const taskId = await client.importContacts(csv);
    const events = await client.follow(taskId, (event) => {
      if (event.type === 'TASK_SUSPENDED') void client.answer(taskId, event.payload.suspendId, action);
    });
    return { taskId, events };
  };

  it('imports a file without bad rows without asking', async () => {
    const { taskId, events } = await runImport(HEADER + GOOD + GOOD, 'reject');
    expect(questionIn(events)).toBeUndefined();
    expect(events.at(-1)?.payload).toEqual({ result: { imported: 2, skipped: 0, total: 2 } });
    expect(await contactsOf(taskId)).toBe(2);
  });

  it('asks about the bad rows of the sample file and imports the others', async () => {
    const csv = await readFile('sample/data/contacts-5000.csv', 'utf8');
    const { taskId, events } = await runImport(csv, 'import_valid');
    const { interaction, allowedActions } = questionIn(events) ?? {};
    expect(allowedActions).toEqual(['import_valid', 'reject']);
    expect(interaction).toMatchObject({ valid: 4925, invalid: 75 });
    expect(events.at(-1)?.payload).toEqual({ result: { imported: 4925, skipped: 75, total: 5000 } });
    expect(await contactsOf(taskId)).toBe(4925);
  });

  it('reports the progress of both stages in steps of one or two percent', async () => {
    const csv = await readFile('sample/data/contacts-5000.csv', 'utf8');
    const { events } = await runImport(csv, 'import_valid');
    const percents = events.flatMap((event) => (event.type === 'TASK_PROGRESS' ? [event.payload.progress] : []));
    const steps = percents.slice(1).map((percent, index) => percent - (percents[index] ?? 0));
    expect([percents[0], percents.at(-1)]).toEqual([0, 100]);
    expect(Math.max(...steps)).toBeLessThanOrEqual(2);
    expect(percents.length).toBeLessThanOrEqual(102);
  });

  it('shows the first fifty bad rows only and counts all of them', async () => {
    const wide = `Ben Brandt,${'\u{1F4D5}'.repeat(90)},+1 555 000 0002,Quill\n`;
    const { events } = await runImport(HEADER + wide.repeat(400), 'reject');
    const question = questionIn(events);
    expect(question?.interaction).toMatchObject({ valid: 0, invalid: 400 });
    expect(question?.interaction?.['badRows']).toHaveLength(50);
  });

  it('names line, column and problem of a bad row', async () => {
    const { events } = await runImport(`${HEADER}${GOOD}\n${BAD}`, 'reject');
    const badRow = { line: 4, column: 'email', value: 'nowhere', problem: 'is not an email address' };
    expect(questionIn(events)?.interaction?.['badRows']).toEqual([badRow]);
  });

  it('imports nothing when the file is rejected', async () => {
    const { taskId, events } = await runImport(HEADER + GOOD + BAD, 'reject');
    expect(events.at(-1)?.payload).toEqual({ result: { imported: 0, skipped: 2, total: 2 } });
    expect(await contactsOf(taskId)).toBe(0);
  });

  it('refuses an answer that the schema of its action does not know', async () => {
    const taskId = await client.importContacts(HEADER + BAD);
    const statuses: number[] = [];
    const answerTwice = async (suspendId: string): Promise<void> => {
      for (const payload of [{ rows: 'all' }, {}]) {
        statuses.push((await client.answer(taskId, suspendId, 'import_valid', payload)).status);
      }
    };
    let answered: Promise<void> | undefined;
    const events = await client.follow(taskId, (event) => {
      if (event.type === 'TASK_SUSPENDED') answered = answerTwice(event.payload.suspendId);
    });
    await answered;
    expect(events.at(-1)?.type).toBe('TASK_COMPLETED');
    expect(statuses).toEqual([422, 202]);
  });

  it.each([
    ['without an attachment', undefined, 'Attach the CSV file'],
    ['with a column missing', 'name,phone\nAda,1\n', 'missing: email, company'],
    ['with a quote that is never closed', `${HEADER}"Ada,ada@example.com,1,Quill\n`, 'Quote Not Closed'],
  ])('fails an import %s with a message that says so', async (_, csv, message) => {
    const taskId = await client.importContacts(csv);
    const [end] = (await client.follow(taskId)).slice(-1);
    expect(end?.type).toBe('TASK_FAILED');
    expect(end?.payload).toMatchObject({ message: expect.stringContaining(message) });
  });

  it('leaves no contact behind when it is cancelled while it writes', async () => {
    const taskId = await client.importContacts(HEADER + GOOD.repeat(12_000));
    let cancelled = false;
    const events = await client.follow(taskId, (event) => {
      if (cancelled || event.type !== 'TASK_PROGRESS' || event.payload.stage !== 'importing') return;
      cancelled = true;
      void client.cancel(taskId);
    });
    expect(events.at(-1)?.type).toBe('TASK_CANCELLED');
    expect(await contactsOf(taskId)).toBe(0);
  });

  it('adds no contact when the writing of an import is repeated', async () => {
    const task = contextOf(HEADER + GOOD + BAD + GOOD);
    await sample.app.get(ContactsWriter).writeValidRows(task);
    await sample.app.get(ContactsWriter).writeValidRows(task);
    expect(await contactsOf(task.taskId)).toBe(2);
  });

  it('hides an import from everybody else', async () => {
    const taskId = await client.importContacts(HEADER + GOOD);
    const stranger = new SampleClient(sample.url, 'ben').follow(taskId);
    await expect(stranger).rejects.toThrow(`closed with ${CLOSE_CODES.refused}`);
  });
});

function questionIn(events: TaskEvent[]): TaskSuspendedPayload | undefined {
  return events.find((event) => event.type === 'TASK_SUSPENDED')?.payload;
}

/** What a run sees of its task, without a task behind it. */
function contextOf(csv: string): TaskContext {
  const open = () => Readable.from([csv]);
  const file = { name: 'a.csv', contentType: 'text/csv', sizeBytes: csv.length, sha256: '', open };
  const report = { progress: async () => undefined, signal: new AbortController().signal };
  return { taskId: uuidv7(), ownerId: 'ada', attachments: [file], ...report } as unknown as TaskContext;
}
