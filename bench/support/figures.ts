/** The middle value, or the mean of the two middle ones; `NaN` for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? at(sorted, middle - 0.5) : (at(sorted, middle - 1) + at(sorted, middle)) / 2;
}

/** The value that `share` of all values do not exceed, 0 < share ≤ 1; `NaN` for none. */
export function percentile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/** Latencies in ms as the figures `p50` and `p99`. */
export function latencies(ms: ArrayLike<number>): { p50: number; p99: number } {
  return { p50: percentile(ms, 0.5), p99: percentile(ms, 0.99) };
}

/** Three significant digits, thousands separated. */
export function formatFigure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? NaN;
}
