import type { IncomingHttpHeaders } from 'node:http';

/** Who makes a request, as the host's resolver tells it. */
export interface AuthContext {
  /** Identity that owns what it creates; the scope of `clientRequestId`. 1–255 characters. */
  subject: string;
  scopes: readonly string[];
  appId: string | null;
  attributes: Readonly<Record<string, unknown>>;
}

export type RequestTransport = 'http' | 'sse' | 'websocket';

/** What a resolver may look at; the same shape for a plain request, a stream and a WebSocket upgrade. */
export interface AuthRequest {
  headers: IncomingHttpHeaders;
  /** Path and query as received. */
  url: string;
  method: string;
  /** Path parameters of the route, the host's own included (`/projects/:projectId/tasks`); empty at an upgrade. */
  params: Readonly<Record<string, string>>;
  query: Readonly<Record<string, unknown>>;
  transport: RequestTransport;
  /** The framework's request: a `FastifyRequest`, or the `IncomingMessage` of an upgrade. */
  raw: unknown;
}

/** Host hook that turns a request into an identity. */
export abstract class AuthContextResolver {
  /** `null` is answered 401; so is a thrown `TaskBridgeError` with `AUTHENTICATION_ERROR` or a Nest 401 exception. */
  abstract resolve(request: AuthRequest): Promise<AuthContext | null> | AuthContext | null;
}

/** The default: nobody is known, so every request is answered 401 until the host provides a resolver. */
export class DenyAllAuthContextResolver extends AuthContextResolver {
  resolve(): null {
    return null;
  }
}
