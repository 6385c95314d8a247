import type { ErrorEnvelope } from '@taskbridge/protocol';
import { RequestRefusedError } from '../errors.js';

/** The error that an answer other than 2xx stands for; `UNEXPECTED_ANSWER` where its body is not TaskBridge's. */
export async function refusalOf(response: Response): Promise<RequestRefusedError> {
  const { code, message, details } = await envelopeOf(response);
  const what = message ?? `${response.url || 'The server'} answered ${response.status}`;
  return new RequestRefusedError(code ?? 'UNEXPECTED_ANSWER', what, {
    status: response.status,
    ...(details !== undefined && { details }),
    ...retryAfter(response.headers.get('retry-after')),
  });
}

async function envelopeOf(response: Response): Promise<Partial<ErrorEnvelope>> {
  try {
    const body = (await response.json()) as Partial<ErrorEnvelope> | null;
    return typeof body?.code === 'string' ? body : {};
  } catch {
    return {};
  }
}

/** Seconds or a date. */
function retryAfter(header: string | null): { retryAfterMs?: number } {
  if (!header) return {};
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? {} : { retryAfterMs: Math.max(0, ms) };
}
