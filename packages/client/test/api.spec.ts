import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import path from 'node:path';
import ts from 'typescript';
import type {
  JsonObject,
  TaskActionAcceptedPayload,
  TaskCompletedPayload,
  TaskFailedPayload,
  TaskProgressPayload,
} from '@taskbridge/protocol';
import {
  asActionAccepted,
  asFailure,
  asProgress,
  asSuspension,
  isTerminalEvent,
  type TaskEvent,
  type TaskSuspension,
  type TerminalTaskEvent,
} from '@taskbridge/client';

type IsAny<A> = 0 extends 1 & A ? true : false;

/** `any` equals nothing but itself. */
type Equal<A, B> = [A, B, IsAny<A>] extends [B, A, IsAny<B>] ? true : false;

/** Compiles only when the type is the one that is named. */
function isExactly<A>() {
  return <B>(value: B, same: Equal<A, B>): unknown => [value, same];
}

/** The compiler checks each branch. */
function narrow(event: TaskEvent): string {
  switch (event.type) {
    case 'TASK_STARTED':
      isExactly<string | undefined>()(event.payload.message, true);
      return 'started';
    case 'TASK_PROGRESS':
      isExactly<TaskProgressPayload>()(event.payload, true);
      return 'progress';
    case 'TASK_MESSAGE':
      isExactly<string>()(event.payload.message, true);
      return 'message';
    case 'TASK_SUSPENDED':
      isExactly<TaskSuspension>()(event.suspension, true);
      isExactly<string | null>()(event.suspension.expiresAt, true);
      isExactly<JsonObject>()(event.suspension.interaction, true);
      return 'suspended';
    case 'TASK_ACTION_ACCEPTED':
      isExactly<TaskActionAcceptedPayload>()(event.payload, true);
      return 'accepted';
    case 'TASK_COMPLETED':
      isExactly<TaskCompletedPayload>()(event.payload, true);
      return 'completed';
    case 'TASK_FAILED':
      isExactly<TaskFailedPayload>()(event.payload, true);
      return 'failed';
    case 'TASK_CANCELLED':
      isExactly<string>()(event.payload.reason, true);
      return 'cancelled';
    case 'UNKNOWN':
      isExactly<unknown>()(event.payload, true);
      isExactly<string>()(event.wireType, true);
      return 'unknown';
    default:
      isExactly<never>()(event, true);
      return 'nothing';
  }
}

const PROGRESS: TaskEvent = {
  type: 'TASK_PROGRESS',
  taskId: 't',
  eventId: '2-0',
  createdAt: '2026-01-01T00:00:00Z',
  payload: { progress: 40 },
};

describe('The types of the client', () => {
  it('narrow the payload by the event’s type', () => {
    expect(narrow(PROGRESS)).toBe('progress');
    expect(narrow({ ...PROGRESS, type: 'UNKNOWN', wireType: 'TASK_TELEPORTED', payload: 1 })).toBe('unknown');
  });

  it('come typed from the readers of payloads', () => {
    isExactly<TaskProgressPayload | undefined>()(asProgress(PROGRESS), true);
    isExactly<TaskFailedPayload | undefined>()(asFailure(PROGRESS), true);
    isExactly<TaskSuspension | undefined>()(asSuspension(PROGRESS), true);
    isExactly<TaskActionAcceptedPayload | undefined>()(asActionAccepted(PROGRESS), true);
    expect([asProgress(PROGRESS), asFailure(PROGRESS)]).toEqual([{ progress: 40 }, undefined]);
    const event = PROGRESS as TaskEvent;
    if (isTerminalEvent(event)) isExactly<TerminalTaskEvent>()(event, true);
    expect(isTerminalEvent(event)).toBe(false);
  });

  it('take what is undefined for what is left out, for the strictest compilers too', () => {
    const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile.bind(ts.sys)) as { config: unknown };
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
    const file = path.resolve('packages/client/test/support/exact-options.ts');
    const program = ts.createProgram([file], { ...options, exactOptionalPropertyTypes: true });
    const found = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
    expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
  });

  it('are those that are written down', async () => {
    const script = pathToFileURL(path.resolve('scripts/client-api.mjs')).href;
    const { clientApi } = (await import(script)) as { clientApi: () => string };
    expect(clientApi()).toBe(await readFile('packages/client/API.md', 'utf8'));
  });
});
