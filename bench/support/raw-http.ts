import { connect, type Socket } from 'node:net';

/** One keep-alive connection with one request at a time, without the cost of an HTTP client. */
export class RawHttp {
  private readonly socket: Socket;
  private received = '';
  private answered: ((body: string) => void) | undefined;
  private failed: ((error: Error) => void) | undefined;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1').setNoDelay(true).setEncoding('latin1');
    this.socket.on('data', (text) => this.take(String(text)));
    this.socket.on('error', (error) => this.failed?.(error));
    this.socket.on('close', () => this.failed?.(new Error('The connection has ended')));
  }

  /** The body of a 2xx answer; rejects with any other. */
  request(method: 'GET' | 'POST', path: string, body = ''): Promise<string> {
    const head = [`${method} ${path} HTTP/1.1`, 'Host: bench', 'Authorization: Bearer ada'];
    if (body !== '') head.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`);
    return new Promise((resolve, reject) => {
      this.answered = resolve;
      this.failed = reject;
      this.socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
    });
  }

  close(): void {
    this.failed = undefined;
    this.socket.destroy();
  }

  private take(text: string): void {
    this.received += text;
    const headEnd = this.received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const length = Number(/^content-length: (\d+)/im.exec(this.received.slice(0, headEnd))?.[1] ?? 0);
    const end = headEnd + 4 + length;
    if (this.received.length < end) return;
    const [status, body] = [this.received.slice(9, 12), this.received.slice(headEnd + 4, end)];
    this.received = this.received.slice(end);
    if (status.startsWith('2')) this.answered?.(body);
    else this.failed?.(new Error(`${status} ${body}`));
  }
}
