import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { poolWork } from '../stores/pool-work.js';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { ReadinessProbe, type ReadinessCheck } from './readiness-probe.js';

/** Ready while the pool gives a connection and the database answers on it that it takes writes. */
@Injectable()
export class DatabaseReadinessProbe extends ReadinessProbe {
  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    super();
  }

  async check(): Promise<ReadinessCheck[]> {
    const isReadOnly = await poolWork(this.dataSource).isReadOnly();
    return [isReadOnly ? { name: 'database', ok: false, detail: 'read-only' } : { name: 'database', ok: true }];
  }
}
