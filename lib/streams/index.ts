import type { Provider } from '@nestjs/common';
import { PostgresWakeUps } from './postgres-wake-ups.js';
import { StreamDrain } from './stream-drain.js';
import { StreamTicker } from './stream-ticker.js';
import { TaskEventStream } from './task-event-stream.js';
import { TaskTails } from './task-tails.js';
import { WakeUps } from './wake-ups.js';

export { PostgresWakeUps, StreamDrain, TaskEventStream, WakeUps };

/** The live path behind the subscriptions; `WakeUps` is the shared `PostgresWakeUps`. */
export const STREAM_PROVIDERS: readonly Provider[] = [
  StreamTicker,
  StreamDrain,
  TaskTails,
  TaskEventStream,
  PostgresWakeUps,
  { provide: WakeUps, useExisting: PostgresWakeUps },
];
