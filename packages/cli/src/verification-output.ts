import {
  type Finding,
  FINDING_CODES,
  type FindingCode,
  type VerificationReport,
} from '../../../lib/verification/index.js';
import { printableJson } from './printable.js';

/** For people: the findings by code, then one line that sums up. */
export function verificationText(report: VerificationReport, elapsedMs: number): string {
  const groups = Object.entries(report.counts).map(([code, count]) => groupText(code as FindingCode, count, report));
  return [...groups, summaryOf(report, elapsedMs)].join('\n');
}

/** For programs: the report with `ok` and `elapsedMs`, as one line. */
export function verificationJson(report: VerificationReport, elapsedMs: number): string {
  return `${printableJson({ ok: report.findings.length === 0, ...report, elapsedMs })}\n`;
}

function groupText(code: FindingCode, count: number, { findings }: VerificationReport): string {
  const shown = findings.filter((finding) => finding.code === code);
  const left = count - shown.length;
  const more = left === 0 ? [] : [`  … and ${left} more`];
  return [`${code} (${count}): ${FINDING_CODES[code]}`, ...shown.map(lineOf), ...more, ''].join('\n');
}

function lineOf({ taskId, detail }: Finding): string {
  return taskId === null ? `  ${detail}` : `  ${taskId}  ${detail}`;
}

function summaryOf({ counts, scanned }: VerificationReport, elapsedMs: number): string {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const { tasks, events, suspensions, receipts, attachments } = scanned;
  const what = [
    numbered(tasks, 'task'),
    numbered(events, 'event'),
    numbered(suspensions, 'suspension'),
    numbered(receipts, 'receipt'),
    numbered(attachments, 'attachment'),
  ].join(', ');
  const result = total === 0 ? 'no findings' : numbered(total, 'finding');
  return `Scanned ${what} in ${(elapsedMs / 1_000).toFixed(1)} s: ${result}.\n`;
}

function numbered(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
