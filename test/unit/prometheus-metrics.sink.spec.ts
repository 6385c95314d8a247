import { Counter, Registry } from 'prom-client';
import { readFileSync } from 'node:fs';
import { type MetricDescription, METRICS } from '@taskbridge/nestjs';
import { PrometheusMetricsSink } from '@taskbridge/nestjs/prometheus';

describe('PrometheusMetricsSink', () => {
  it('registers a metric when it is first reported and exposes its values', async () => {
    const registry = new Registry();
    const sink = new PrometheusMetricsSink(registry);
    expect(registry.getMetricsAsArray()).toEqual([]);

    sink.count('taskbridge_tasks_created_total', 2, { task_type: 'report' });
    sink.count('taskbridge_tasks_created_total', undefined, { task_type: 'report' });
    sink.gauge('taskbridge_append_queue_size', 7);
    sink.observe('taskbridge_append_flush_seconds', 0.002);

    const text = await registry.metrics();
    expect(text).toContain('taskbridge_tasks_created_total{task_type="report"} 3');
    expect(text).toContain('taskbridge_append_queue_size 7');
    expect(text).toContain('taskbridge_append_flush_seconds_bucket{le="0.001"} 0');
    expect(text).toContain('taskbridge_append_flush_seconds_bucket{le="0.0025"} 1');
    expect(text).toContain('taskbridge_append_flush_seconds_sum 0.002');
  });

  it('shares a registry with a second instance', async () => {
    const registry = new Registry();
    new PrometheusMetricsSink(registry).count('taskbridge_events_appended_total');
    new PrometheusMetricsSink(registry).count('taskbridge_events_appended_total', 4);
    expect(await registry.metrics()).toContain('taskbridge_events_appended_total 5');
  });

  it('ignores names it does not know and never throws', async () => {
    const registry = new Registry();
    const sink = new PrometheusMetricsSink(registry);
    sink.count('made_up_total');
    sink.gauge('taskbridge_tasks_created_total', 1);
    sink.count('taskbridge_events_appended_total', 1, { made_up: 'label' });
    expect(await registry.metrics()).not.toContain('made_up');
    expect(registry.getSingleMetric('taskbridge_events_appended_total')).toBeInstanceOf(Counter);
  });

  it('knows every metric that is documented, and the other way round', () => {
    const rows = readFileSync('docs/services-and-routes.md', 'utf8').matchAll(
      /^\| `(taskbridge_\w+)` +\| (\w+) +\| (.+?) +\| (.*?) *\|$/gm,
    );
    const documented = Array.from(rows, ([, name, kind, help, labels]) => [name, kind, help, labels]);
    const described = Object.entries<MetricDescription>(METRICS).map(([name, { kind, help, labels = [] }]) => [
      name,
      kind,
      help,
      labels.map((label) => `\`${label}\``).join(', '),
    ]);
    expect(documented).toEqual(described);
  });
});
