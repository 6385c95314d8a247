import { Logger } from '@nestjs/common';
import { isTaskBridgeError, messageOf } from '../taskbridge.errors.js';
import { ReadinessProbe, type ReadinessCheck } from './readiness-probe.js';

/** A probe that has not answered by then counts as failed. */
const PROBE_TIMEOUT_MS = 3_000;

/** Asks several probes at once; one that rejects or takes too long is a failed check of its own. */
export class CompositeReadinessProbe extends ReadinessProbe {
  private readonly logger = new Logger(CompositeReadinessProbe.name);

  constructor(
    private readonly probes: readonly ReadinessProbe[],
    private readonly timeoutMs = PROBE_TIMEOUT_MS,
  ) {
    super();
  }

  async check(): Promise<ReadinessCheck[]> {
    const checks = await Promise.all(this.probes.map((probe) => this.ask(probe)));
    return checks.flat();
  }

  private async ask(probe: ReadinessProbe): Promise<ReadinessCheck[]> {
    const name = probe.constructor.name.replace(/(?:Readiness)?Probe$/, '').toLowerCase() || 'host';
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<ReadinessCheck[]>((resolve) => {
      timer = setTimeout(() => resolve([{ name, ok: false, detail: 'no answer in time' }]), this.timeoutMs);
    });
    try {
      return await Promise.race([probe.check(), late]);
    } catch (error) {
      this.logger.warn({ message: `Readiness check "${name}" failed`, reason: messageOf(error) });
      return [{ name, ok: false, detail: publicReason(error) }];
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What anybody may read: a driver's message may name hosts and users, its code does not. */
function publicReason(error: unknown): string {
  if (isTaskBridgeError(error)) return error.message;
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z0-9_]{1,40}$/.test(code) ? code : 'failed';
}
