import type { ErrorEnvelope } from '@taskbridge/protocol';
import { RequestRefusedError } from '../errors.js';

/** The members of a JSON object; none where the text is anything else. */
export function membersOf(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** The error that an answer other than 2xx stands for; `UNEXPECTED_ANSWER` where its body is not TaskBridge's. */
export async function refusalOf(response: Response): Promise<RequestRefusedError> {
  const { code, message, details } = membersOf(await response.text().catch(() => '')) as Partial<ErrorEnvelope>;
  const isOurs = typeof code === 'string';
  const what = (isOurs && message) || `${response.url} answered ${response.status}`;
  return new RequestRefusedError(isOurs ? code : 'UNEXPECTED_ANSWER', what, {
    status: response.status,
    details: isOurs ? details : undefined,
    retryAfterMs: retryAfterMs(response.headers.get('retry-after')),
  });
}

/** Seconds or a date. */
function retryAfterMs(header: string | null): number | undefined {
  const ms = /^\d+$/.test(header ?? '') ? Number(header) * 1_000 : Date.parse(header ?? '') - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
