import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { TaskContext } from '@taskbridge/nestjs';
import { DataSource, type EntityManager } from 'typeorm';
import { readContactRows, type ContactRow } from './contact-rows.js';
import { Contact } from './contact.entity.js';
import { ProgressSteps } from './progress-steps.js';

const BATCH_ROWS = 100;

/** Writes contacts into the application's table. */
@Injectable()
export class ContactsWriter {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /**
   * All or nothing: a cancelled or failed import leaves no contact behind. A run that is repeated after its rows were
   * committed finds them by task and line and adds none.
   */
  async writeValidRows(task: TaskContext): Promise<void> {
    const progress = new ProgressSteps(task, { stage: 'importing', from: 50, to: 100 });
    await this.dataSource.transaction(async (manager) => {
      for await (const batch of batchesOf(readContactRows(task))) {
        await insert(manager, task, batch);
        await progress.reach(batch.at(-1)?.position ?? 1);
      }
    });
  }
}

async function insert(manager: EntityManager, task: TaskContext, rows: readonly ContactRow[]): Promise<void> {
  const { taskId, ownerId } = task;
  const contacts = rows.filter((row) => row.problem === undefined);
  if (contacts.length === 0) return;
  await manager
    .createQueryBuilder()
    .insert()
    .into(Contact)
    .values(contacts.map(({ line, fields }) => ({ taskId, ownerId, line, ...fields })))
    .orIgnore()
    .updateEntity(false)
    .execute();
}

async function* batchesOf(rows: AsyncIterable<ContactRow>): AsyncGenerator<ContactRow[]> {
  let batch: ContactRow[] = [];
  for await (const row of rows) {
    batch.push(row);
    if (batch.length < BATCH_ROWS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
