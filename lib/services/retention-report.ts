import type { MetricsSink } from '../observability/metrics-sink.js';

/** What a retention run has deleted, or what a dry run would delete. */
export interface RetentionReport {
  dryRun: boolean;
  /** Finished tasks, with everything that belongs to them. */
  tasks: number;
  tasksByType: Record<string, number>;
  /** Events of those tasks; what was trimmed off other logs is in `trimmedEvents`. */
  events: number;
  /** Files of those tasks. */
  attachments: number;
  /** Of those tasks, and of others that ended long ago. */
  receipts: number;
  suspensions: number;
  /** Logs that were cut, and by how many events in all. */
  trimmedLogs: number;
  trimmedEvents: number;
}

/** Adds up one run, and counts what is really deleted in the metrics. */
export class RetentionTally {
  readonly report: RetentionReport;

  constructor(
    dryRun: boolean,
    private readonly metrics: MetricsSink,
  ) {
    this.report = {
      dryRun,
      tasks: 0,
      tasksByType: {},
      events: 0,
      attachments: 0,
      receipts: 0,
      suspensions: 0,
      trimmedLogs: 0,
      trimmedEvents: 0,
    };
  }

  get isEmpty(): boolean {
    const { tasks, events, attachments, receipts, suspensions, trimmedEvents } = this.report;
    return tasks + events + attachments + receipts + suspensions + trimmedEvents === 0;
  }

  add(kind: 'events' | 'attachments' | 'receipts' | 'suspensions', count: number): void {
    this.report[kind] += count;
    this.measure(kind, count);
  }

  addTasks(byType: Readonly<Record<string, number>>): void {
    for (const [type, count] of Object.entries(byType)) {
      this.report.tasks += count;
      this.report.tasksByType[type] = (this.report.tasksByType[type] ?? 0) + count;
      this.measure('tasks', count);
    }
  }

  /** One log that lost so many events; 0 is no log. */
  addTrimmed(events: number): void {
    if (events === 0) return;
    this.report.trimmedLogs += 1;
    this.report.trimmedEvents += events;
    this.measure('trimmed_events', events);
  }

  private measure(kind: string, count: number): void {
    if (!this.report.dryRun && count > 0) this.metrics.count('taskbridge_retention_deleted_total', count, { kind });
  }
}
