import { Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { CompositeReadinessProbe } from '../observability/composite-readiness.probe.js';

/**
 * The readiness of `GET /ready` for a host's own terminus check; provide it in a module that imports `TerminusModule`.
 * Each check of the probe becomes an entry `name: 'ok' | detail`.
 */
@Injectable()
export class TaskBridgeHealthIndicator {
  constructor(
    private readonly probe: CompositeReadinessProbe,
    private readonly indicators: HealthIndicatorService,
  ) {}

  /** Never rejects; `down` when one check fails. */
  async isReady<const Key extends string>(key: Key): Promise<HealthIndicatorResult<Key>> {
    const checks = await this.probe.check();
    const data = Object.fromEntries(checks.map(({ name, ok, detail }) => [name, detail ?? (ok ? 'ok' : 'failed')]));
    const indicator = this.indicators.check(key);
    return checks.every(({ ok }) => ok) ? indicator.up({ checks: data }) : indicator.down({ checks: data });
  }
}
