import { Injectable } from '@nestjs/common';
import { StreamDrain } from '../streams/stream-drain.js';
import { ReadinessProbe, type ReadinessCheck } from './readiness-probe.js';

/** Not ready from the moment the process begins to shut down, so that no new client is sent here. */
@Injectable()
export class DrainReadinessProbe extends ReadinessProbe {
  constructor(private readonly drain: StreamDrain) {
    super();
  }

  async check(): Promise<ReadinessCheck[]> {
    return this.drain.isDraining ? [{ name: 'drain', ok: false, detail: 'shutting down' }] : [];
  }
}
