import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { TaskBridgeError } from '../taskbridge.errors.js';
import { AuthContextResolver, type AuthContext, type AuthRequest } from './auth-context.js';
import { authRequest, rawRequest } from './guarded-request.js';
import { isAuthenticationRefusal } from './refusals.js';
import { setRequestAuth } from './request-context.js';

/** A subject names an owner in the database: 1–255 characters, no control characters, whole Unicode. */
const SUBJECT = /^[^\p{Cc}\p{Cs}]{1,255}$/u;

/**
 * Finds out who makes a request, by the host's `AuthContextResolver`; rejects with `AUTHENTICATION_ERROR`. One instance
 * guards the routes, the streams and the WebSocket upgrade. A subclass that adds a condition calls `super`; one that
 * replaces it leaves the identity with `setRequestAuth`.
 */
@Injectable()
export class TaskAuthGuard implements CanActivate {
  constructor(private readonly resolver: AuthContextResolver) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const auth = await this.resolve(authRequest(context));
    if (!auth) throw new TaskBridgeError('AUTHENTICATION_ERROR', 'Authentication is required');
    if (typeof auth.subject !== 'string' || !SUBJECT.test(auth.subject)) {
      throw new TaskBridgeError('AUTHENTICATION_ERROR', 'The subject must be 1 to 255 printable characters');
    }
    setRequestAuth(rawRequest(context), auth);
    return true;
  }

  private async resolve(request: AuthRequest): Promise<AuthContext | null> {
    try {
      return await this.resolver.resolve(request);
    } catch (error) {
      if (!isAuthenticationRefusal(error)) throw error;
      throw new TaskBridgeError('AUTHENTICATION_ERROR', 'The credentials were refused', { cause: error });
    }
  }
}
