export { PrometheusMetricsSink } from './prometheus-metrics.sink.js';
