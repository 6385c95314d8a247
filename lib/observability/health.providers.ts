import type { Provider } from '@nestjs/common';
import { CompositeReadinessProbe } from './composite-readiness.probe.js';
import { DatabaseReadinessProbe } from './database-readiness.probe.js';
import { DrainReadinessProbe } from './drain-readiness.probe.js';
import { ExecutorReadinessProbe } from './executor-readiness.probe.js';
import { ListenerReadinessProbe } from './listener-readiness.probe.js';
import { ReadinessProbe } from './readiness-probe.js';

const OWN_PROBES = [DatabaseReadinessProbe, ListenerReadinessProbe, ExecutorReadinessProbe, DrainReadinessProbe];

/** The library's probes and the composite that adds the host's `ReadinessProbe`, if there is one. */
export const HEALTH_PROVIDERS: Provider[] = [
  ...OWN_PROBES,
  {
    provide: CompositeReadinessProbe,
    useFactory: (...probes: (ReadinessProbe | undefined)[]) =>
      new CompositeReadinessProbe(probes.filter((probe) => probe !== undefined)),
    inject: [...OWN_PROBES, { token: ReadinessProbe, optional: true }],
  },
];
