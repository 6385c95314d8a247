export interface ReadinessCheck {
  name: string;
  ok: boolean;
  /** What a person should know: a mode, a failure, a count. Never a secret. */
  detail?: string;
}

/** One reason why this process may not be ready. A probe that rejects counts as not ready. */
export abstract class ReadinessProbe {
  abstract check(): Promise<ReadinessCheck[]>;
}
