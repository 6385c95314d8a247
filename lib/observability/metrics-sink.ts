export type MetricLabels = Readonly<Record<string, string>>;

/**
 * Receives the library's measurements. Names follow Prometheus (`taskbridge_<what>_<unit>`, `_total` for counters); the
 * whole list is `METRICS`. Called on hot paths: it must be cheap and never throw.
 */
export abstract class MetricsSink {
  abstract count(name: string, by?: number, labels?: MetricLabels): void;
  abstract gauge(name: string, value: number, labels?: MetricLabels): void;
  /** Durations in seconds, sizes in bytes or items. */
  abstract observe(name: string, value: number, labels?: MetricLabels): void;
}

/** The default: measures nothing. */
export class NoMetrics extends MetricsSink {
  count(): void {}
  gauge(): void {}
  observe(): void {}
}

export interface MetricDescription {
  kind: 'counter' | 'gauge' | 'histogram';
  help: string;
  labels?: readonly string[];
}

/** Every metric the library reports, by name. */
export const METRICS = {
  taskbridge_tasks_created_total: { kind: 'counter', help: 'Tasks created', labels: ['task_type'] },
  taskbridge_tasks_finished_total: { kind: 'counter', help: 'Terminal events appended here', labels: ['type'] },
  taskbridge_events_appended_total: { kind: 'counter', help: 'Events made durable by this process' },
  taskbridge_append_refusals_total: { kind: 'counter', help: 'Appends refused, by outcome', labels: ['outcome'] },
  taskbridge_append_flush_events: { kind: 'histogram', help: 'Appends per flush' },
  taskbridge_append_flush_seconds: { kind: 'histogram', help: 'Duration of one flush' },
  taskbridge_append_queue_size: { kind: 'gauge', help: 'Appends waiting for a flush' },
  taskbridge_streams_open: { kind: 'gauge', help: 'Followers connected', labels: ['transport'] },
  taskbridge_streams_closed_total: { kind: 'counter', help: 'Streams closed', labels: ['transport', 'reason'] },
  taskbridge_stream_events_total: { kind: 'counter', help: 'Events delivered to followers', labels: ['transport'] },
  taskbridge_stream_gaps_total: {
    kind: 'counter',
    help: 'Readers whose next events were no longer stored',
    labels: ['transport'],
  },
  taskbridge_tasks_watched: { kind: 'gauge', help: 'Tasks with at least one follower here' },
  taskbridge_wakeups_total: { kind: 'counter', help: 'Wake-ups, by way they came', labels: ['source'] },
  taskbridge_listener_deaf: { kind: 'gauge', help: '1 while NOTIFY does not arrive and streams poll' },
  taskbridge_handoffs_total: { kind: 'counter', help: 'Hand-offs by kind and outcome', labels: ['kind', 'outcome'] },
  taskbridge_runs_active: { kind: 'gauge', help: 'Runs in this process', labels: ['task_type'] },
  taskbridge_runs_total: { kind: 'counter', help: 'Runs ended, by outcome', labels: ['task_type', 'outcome'] },
  taskbridge_retention_deleted_total: { kind: 'counter', help: 'Rows removed by retention', labels: ['kind'] },
  taskbridge_retention_run_seconds: { kind: 'histogram', help: 'Duration of a retention run' },
  taskbridge_retention_last_success_seconds: { kind: 'gauge', help: 'Unix time of the last complete retention run' },
  taskbridge_scheduler_lag_seconds: { kind: 'gauge', help: 'How late the last round of the scheduler began' },
  taskbridge_scheduler_items_total: { kind: 'counter', help: 'Items that the scheduler took', labels: ['job'] },
  taskbridge_scheduler_failures_total: { kind: 'counter', help: 'Runs of a job that failed', labels: ['job'] },
  taskbridge_scheduler_job_seconds: { kind: 'histogram', help: 'Duration of one run of a job', labels: ['job'] },
} as const satisfies Record<string, MetricDescription>;

export type MetricName = keyof typeof METRICS;
