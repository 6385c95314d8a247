// Compiled with `exactOptionalPropertyTypes`: what an application has or has not may be handed on as it is.
import { type ObserveOptions, TaskBridgeClient, type TaskBridgeClientOptions } from '@taskbridge/client';

interface Settings {
  authHeaderProvider: TaskBridgeClientOptions['authHeaderProvider'];
  maxFailures: number | undefined;
  stream: ((taskId: string) => string) | undefined;
}

interface Input {
  ticks: number;
}

export async function start(settings: Settings, lastEventId: string | undefined, key?: string): Promise<void> {
  const { authHeaderProvider, maxFailures, stream } = settings;
  const client = new TaskBridgeClient({
    baseUrl: '',
    authHeaderProvider,
    recovery: { maxFailures },
    routes: { stream },
    store: undefined,
  });
  const options: ObserveOptions = { lastEventId, signal: undefined, checkpoint: undefined, onGap: undefined };
  const { taskId } = await client.startTask(
    { taskType: 'x', clientRequestId: key, input: undefined },
    { signal: undefined },
  );
  const input: Input = { ticks: 3 };
  await client.startTask({ taskType: 'x', input });
  client.observeTaskEvents(taskId, options);
  await client.submitAction(taskId, { suspendId: 's', actionType: 'ok', clientActionId: key, payload: undefined });
  await client.listTasks({ status: undefined, cursor: key });
}
