import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { ReadinessProbe, type ReadinessCheck } from './readiness-probe.js';

/** `on` on a standby, and where the host or an operator has made the database read-only. */
const IS_READ_ONLY = `select current_setting('transaction_read_only') as read_only`;

/** Ready while the pool gives a connection and the database answers on it that it takes writes. */
@Injectable()
export class DatabaseReadinessProbe extends ReadinessProbe {
  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    super();
  }

  async check(): Promise<ReadinessCheck[]> {
    const [row] = await this.dataSource.query<{ read_only: string }[]>(IS_READ_ONLY);
    return [
      row?.read_only === 'on' ? { name: 'database', ok: false, detail: 'read-only' } : { name: 'database', ok: true },
    ];
  }
}
