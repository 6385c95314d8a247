import { Logger } from '@nestjs/common';
import { Counter, Gauge, Histogram, register, type Registry } from 'prom-client';
import { METRICS, MetricsSink, type MetricDescription, type MetricLabels } from '../observability/metrics-sink.js';
import { messageOf } from '../taskbridge.errors.js';

/** Flushes on a local disk take under a millisecond, those of a database in trouble seconds. */
const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];
const COUNT_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/**
 * Reports to prom-client. A metric is registered when it is first used; one that the registry has under the same name is
 * used as it is, so several module instances may share a registry. Names that are not in `METRICS` are ignored.
 */
export class PrometheusMetricsSink extends MetricsSink {
  private readonly logger = new Logger(PrometheusMetricsSink.name);
  private readonly counters = new Map<string, Counter | undefined>();
  private readonly gauges = new Map<string, Gauge | undefined>();
  private readonly histograms = new Map<string, Histogram | undefined>();

  /** @param registry prom-client's default registry when omitted */
  constructor(private readonly registry: Registry = register) {
    super();
  }

  count(name: string, by = 1, labels: MetricLabels = {}): void {
    this.safely(name, () => this.metric(this.counters, name, 'counter', newCounter)?.inc(labels, by));
  }

  gauge(name: string, value: number, labels: MetricLabels = {}): void {
    this.safely(name, () => this.metric(this.gauges, name, 'gauge', newGauge)?.set(labels, value));
  }

  observe(name: string, value: number, labels: MetricLabels = {}): void {
    this.safely(name, () => this.metric(this.histograms, name, 'histogram', newHistogram)?.observe(labels, value));
  }

  private metric<M>(
    known: Map<string, M | undefined>,
    name: string,
    kind: MetricDescription['kind'],
    make: (config: MetricConfig) => M,
  ): M | undefined {
    if (known.has(name)) return known.get(name);
    const description: MetricDescription | undefined = isMetricName(name) ? METRICS[name] : undefined;
    const metric = description?.kind === kind ? this.register(name, description, make) : undefined;
    known.set(name, metric);
    return metric;
  }

  private register<M>(name: string, { help, labels = [] }: MetricDescription, make: (config: MetricConfig) => M): M {
    const existing = this.registry.getSingleMetric(name);
    return (existing as M | undefined) ?? make({ name, help, labelNames: [...labels], registers: [this.registry] });
  }

  /** Measuring must not break what is measured. */
  private safely(name: string, report: () => void): void {
    try {
      report();
    } catch (error) {
      this.logger.warn({ message: `Metric ${name} was not recorded`, reason: messageOf(error) });
    }
  }
}

interface MetricConfig {
  name: string;
  help: string;
  labelNames: string[];
  registers: Registry[];
}

const newCounter = (config: MetricConfig): Counter => new Counter(config);
const newGauge = (config: MetricConfig): Gauge => new Gauge(config);
const newHistogram = (config: MetricConfig): Histogram =>
  new Histogram({ ...config, buckets: config.name.endsWith('_seconds') ? SECONDS_BUCKETS : COUNT_BUCKETS });

function isMetricName(name: string): name is keyof typeof METRICS {
  return Object.hasOwn(METRICS, name);
}
