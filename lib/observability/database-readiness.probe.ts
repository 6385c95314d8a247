import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { ReadinessProbe, type ReadinessCheck } from './readiness-probe.js';

/** Ready while the pool gives a connection and the database answers on it. */
@Injectable()
export class DatabaseReadinessProbe extends ReadinessProbe {
  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    super();
  }

  async check(): Promise<ReadinessCheck[]> {
    await this.dataSource.query('select 1');
    return [{ name: 'database', ok: true }];
  }
}
