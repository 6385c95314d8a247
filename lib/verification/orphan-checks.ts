import type { TableNames } from '../stores/table-names.js';
import type { FindingCode } from './finding-codes.js';

/** A table whose rows belong to rows of another one, without a foreign key. */
export interface OrphanCheck {
  readonly code: FindingCode;
  readonly table: string;
  readonly column: 'task_id' | 'attachment_id';
  readonly owners: string;
}

/** Every table whose rows name an owner. */
export function orphanChecks(t: TableNames): OrphanCheck[] {
  const ofTasks = { column: 'task_id', owners: t.tasks } as const;
  return [
    { code: 'ORPHAN_EVENTS', table: t.events, ...ofTasks },
    { code: 'ORPHAN_SUSPENSIONS', table: t.suspensions, ...ofTasks },
    { code: 'ORPHAN_RECEIPTS', table: t.receipts, ...ofTasks },
    { code: 'ORPHAN_ATTACHMENTS', table: t.attachments, ...ofTasks },
    { code: 'ORPHAN_CHUNKS', table: t.attachmentChunks, column: 'attachment_id', owners: t.attachments },
  ];
}

/**
 * The next $2 owners that rows name, from after $1 on, and whether they exist. It steps from owner to owner on the
 * index, so that an owner's many rows are not read.
 */
export function ownersStatement({ table, column, owners }: OrphanCheck): string {
  const next = (after: string): string =>
    `select x.${column} from ${table} x where x.${column} > ${after} order by x.${column} limit 1`;
  return `
with recursive named(id) as (
  (${next('$1::uuid')})
  union all
  select (${next('n.id')}) from named n where n.id is not null
)
select n.id, exists (select from ${owners} o where o.${column} = n.id) from named n where n.id is not null limit $2`;
}
