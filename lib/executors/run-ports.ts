import { Inject, Injectable } from '@nestjs/common';
import { TaskReporter } from '../services/task-reporter.js';
import { AttachmentStore } from '../stores/attachment.store.js';
import { EventStore } from '../stores/event.store.js';
import { SuspensionStore } from '../stores/suspension.store.js';
import { TaskLeaseStore } from '../stores/task-lease.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { TASKBRIDGE_PROCESS_ID } from '../taskbridge.tokens.js';

/** What every run of this process works with. */
@Injectable()
export class RunPorts {
  constructor(
    readonly reporter: TaskReporter,
    readonly registry: TaskRegistry,
    readonly events: EventStore,
    readonly suspensions: SuspensionStore,
    readonly attachments: AttachmentStore,
    readonly leases: TaskLeaseStore,
    @Inject(TASKBRIDGE_PROCESS_ID) readonly processId: string,
  ) {}
}
