import { FAULT_KINDS } from './faults.js';
import type { RoundResult } from './fault-round.js';

const COLUMNS = ['creates', 'actions', 'cancels', 'retries', 'events', 'deliveries', 'reconnects'] as const;

/** The findings of a run, sorted into what they would mean for a user. */
export interface FaultTotals {
  losses: number;
  duplicates: number;
  others: number;
}

export function totalsOf(results: readonly RoundResult[]): FaultTotals {
  const findings = results.flatMap((result) => result.findings);
  const losses = findings.filter((finding) => finding.startsWith('LOST')).length;
  const duplicates = findings.filter((finding) => /^DUPLICATE|in the log twice|two endings/.test(finding)).length;
  return { losses, duplicates, others: findings.length - losses - duplicates };
}

/** One line per round, for somebody who waits. */
export function lineOf(result: RoundResult): string {
  const faults = result.faults.map(({ kind, atMs }) => `${kind} +${atMs}`).join(', ');
  const counts = COLUMNS.map((column) => `${column} ${result[column]}`).join(', ');
  const findings = result.findings.map((finding) => `\n    ! ${finding}`).join('');
  return `round ${result.round}: ${faults}\n    ${counts}, recovered in ${result.recoveryMs} ms${findings}`;
}

/** The table of a run as Markdown. */
export function tableOf(results: readonly RoundResult[], seed: number, tookMs: number): string {
  const { losses, duplicates, others } = totalsOf(results);
  const sum = (column: (typeof COLUMNS)[number]): number =>
    results.reduce((total, result) => total + result[column], 0);
  const recoveries = results.map(({ recoveryMs }) => recoveryMs).toSorted((a, b) => a - b);
  const percentile = (part: number): number => recoveries[Math.floor((recoveries.length - 1) * part)] ?? 0;
  const rows: [string, number | string][] = [
    ['rounds', results.length],
    ['seed', seed],
    ['minutes', (tookMs / 60_000).toFixed(1)],
    ...FAULT_KINDS.map((kind): [string, number] => [`fault: ${kind}`, countFaults(results, kind)]),
    ['acknowledged creates', sum('creates')],
    ['acknowledged answers', sum('actions')],
    ['acknowledged cancels', sum('cancels')],
    ['requests sent again', sum('retries')],
    ['events logged', sum('events')],
    ['events taken by followers', sum('deliveries')],
    ['streams reconnected', sum('reconnects')],
    ['recovery, median / longest', `${percentile(0.5)} / ${percentile(1)} ms`],
    ['losses', losses],
    ['duplicates', duplicates],
    ['other findings', others],
  ];
  return ['| | |', '|---|---:|', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

function countFaults(results: readonly RoundResult[], kind: string): number {
  return results.flatMap(({ faults }) => faults).filter((fault) => fault.kind === kind).length;
}
