import { formatFigure, median } from './figures.js';

/** What one run measured, by name; rates per second, times in ms. */
export type Figures = Readonly<Record<string, number>>;

/** One pair: both sides measured one after the other. */
export interface Pair {
  limit: Figures;
  ours: Figures;
}

/** What a ratio or a difference has to reach. */
export interface Reach {
  kind: 'at least' | 'at most' | 'at most more';
  value: number;
}

export const atLeast = (value: number): Reach => ({ kind: 'at least', value });
export const atMost = (value: number): Reach => ({ kind: 'at most', value });
/** The difference, not the ratio, in the unit of the row. */
export const atMostMore = (value: number): Reach => ({ kind: 'at most more', value });

/** A line of the report. Without a limit it is a figure by itself. */
export interface Row {
  path: string;
  variant: string;
  unit: string;
  ours: number;
  limit: number | null;
  /** Median over the pairs of ours / limit, or of ours - limit for a reach of that kind. */
  ratio: number | null;
  /** The ratio of every pair, in the order they were run. */
  ratios: readonly number[];
  reach: Reach | null;
  isMet: boolean | null;
}

export interface RowOptions {
  path: string;
  variant: string;
  /** The figure of both sides that is compared. */
  figure: string;
  unit: string;
  reach?: Reach;
}

/** Gathers the lines of one benchmark. */
export class Report {
  readonly rows: Row[] = [];

  constructor(private readonly take: (row: Row) => void) {}

  /** Compares one figure of the pairs. */
  compare(pairs: readonly Pair[], { path, variant, figure, unit, reach }: RowOptions): void {
    const sides = pairs.map(({ limit, ours }) => ({ limit: limit[figure] ?? NaN, ours: ours[figure] ?? NaN }));
    const ratios = sides.map(({ limit, ours }) => (reach?.kind === 'at most more' ? ours - limit : ours / limit));
    const ratio = median(ratios);
    this.add({
      path,
      variant,
      unit,
      ours: median(sides.map(({ ours }) => ours)),
      limit: median(sides.map(({ limit }) => limit)),
      ratio,
      ratios,
      reach: reach ?? null,
      isMet: reach ? isWithin(ratio, reach) : null,
    });
  }

  /** A figure that has nothing beside it, or a limit that is not measured in pairs. */
  figure(path: string, variant: string, unit: string, ours: number): void {
    this.add({ path, variant, unit, ours, limit: null, ratio: null, ratios: [], reach: null, isMet: null });
  }

  private add(row: Row): void {
    this.rows.push(row);
    this.take(row);
  }
}

export const TABLE_HEAD = ['| path | measured | ours | limit | ratio | reach | |', '|---|---|---:|---:|---:|---|---|'];

/** A line of the Markdown table. */
export function tableLine({ path, variant, unit, ours, limit, ratio, ratios, reach, isMet }: Row): string {
  const cells = [
    path,
    variant,
    `${formatFigure(ours)} ${unit}`,
    limit === null ? '' : `${formatFigure(limit)} ${unit}`,
    ratio === null ? '' : ratioText(ratio, ratios, { reach, unit }),
    reach === null ? '' : reachText(reach, unit),
    isMet === null ? '' : isMet ? 'met' : 'below',
  ];
  return `| ${cells.join(' | ')} |`;
}

function isWithin(ratio: number, { kind, value }: Reach): boolean {
  return kind === 'at least' ? ratio >= value : ratio <= value;
}

/** The median and, of several pairs, the lowest and the highest. */
function ratioText(ratio: number, ratios: readonly number[], { reach, unit }: Pick<Row, 'reach' | 'unit'>): string {
  const range = ratios.length > 1 ? ` (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})` : '';
  if (reach?.kind !== 'at most more') return `${ratio.toFixed(2)}${range}`;
  return `${ratio < 0 ? '' : '+'}${ratio.toFixed(2)} ${unit}${range}`;
}

function reachText({ kind, value }: Reach, unit: string): string {
  if (kind === 'at most more') return `≤ +${value} ${unit}`;
  return `${kind === 'at least' ? '≥' : '≤'} ${value}`;
}
