import pg from 'pg';

/** NOTIFY refuses payloads of 8000 bytes and more. */
const MAX_BYTES = 7_900;
const NOTIFY = `select pg_notify('bench', message) from unnest($1::text[]) as message`;

/** The limit that wake-ups are measured against: inline notifications on one bare connection, one statement at a time. */
export class BareNotifier {
  private entries: string[] = [];
  private isSending = false;

  private constructor(private readonly client: pg.Client) {}

  static async open(url: string): Promise<BareNotifier> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return new BareNotifier(client);
  }

  notify(taskId: string, envelope: string): void {
    this.entries.push(JSON.stringify([taskId, envelope]));
    if (!this.isSending) void this.sendAll();
  }

  close(): Promise<void> {
    return this.client.end();
  }

  private async sendAll(): Promise<void> {
    this.isSending = true;
    while (this.entries.length > 0) {
      const messages = packed(this.entries);
      this.entries = [];
      await this.client.query({ name: 'notify', text: NOTIFY, values: [messages] });
    }
    this.isSending = false;
  }
}

function packed(entries: readonly string[]): string[] {
  const messages: string[] = [];
  let open = '';
  for (const entry of entries) {
    if (open.length + entry.length > MAX_BYTES) {
      messages.push(`[${open}]`);
      open = '';
    }
    open += open === '' ? entry : `,${entry}`;
  }
  return [...messages, `[${open}]`];
}
