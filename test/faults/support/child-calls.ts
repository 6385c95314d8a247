import type { ChildProcess } from 'node:child_process';

interface Request {
  call: number;
  name: string;
  argument: unknown;
}

type Reply = { call: number; value: unknown } | { call: number; error: string };

/** Calls functions of a child process over its IPC channel. */
export class ChildCalls {
  private readonly waiting = new Map<number, (reply: Reply) => void>();
  private calls = 0;

  constructor(private readonly child: ChildProcess) {
    child.on('message', (reply: Reply) => {
      this.waiting.get(reply.call)?.(reply);
      this.waiting.delete(reply.call);
    });
    child.on('exit', () => {
      for (const [call, settle] of this.waiting) settle({ call, error: 'The process has gone' });
      this.waiting.clear();
    });
  }

  /** Rejects with the message of what the function threw, and when the process goes away. */
  call(name: string, argument: unknown = null): Promise<unknown> {
    const call = (this.calls += 1);
    return new Promise((resolve, reject) => {
      this.waiting.set(call, (reply) => ('error' in reply ? reject(new Error(reply.error)) : resolve(reply.value)));
      this.child.send({ call, name, argument } satisfies Request, (error) => {
        if (error === null) return;
        this.waiting.delete(call);
        reject(error);
      });
    });
  }
}

/** The child's side: answers each call by the function of its name, and exits with its parent. */
export function answerCalls(functions: Record<string, (argument: never) => unknown>, cleanUp = async () => {}): void {
  process.on('message', ({ call, name, argument }: Request) => {
    const reply = (text: Reply): unknown => process.connected && process.send?.(text);
    Promise.resolve()
      .then(() => functions[name]?.(argument as never))
      .then(
        (value) => reply({ call, value: value ?? null }),
        (error: unknown) => reply({ call, error: error instanceof Error ? error.message : String(error) }),
      )
      .catch(() => undefined);
  });
  process.once('disconnect', () => void cleanUp().finally(() => process.exit(0)));
}
