import { Injectable } from '@nestjs/common';
import { PostgresWakeUps } from '../streams/postgres-wake-ups.js';
import { ReadinessProbe, type ReadinessCheck } from './readiness-probe.js';

/** Always ready, because streams that poll are late but lose nothing; the detail tells which of the two they do. */
@Injectable()
export class ListenerReadinessProbe extends ReadinessProbe {
  constructor(private readonly wakeUps: PostgresWakeUps) {
    super();
  }

  async check(): Promise<ReadinessCheck[]> {
    return [{ name: 'listener', ok: true, detail: this.wakeUps.mode }];
  }
}
