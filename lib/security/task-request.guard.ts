import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { TaskRequestAuthorizer } from './task-request-authorizer.js';

/** What the library's controllers carry: hands over to the guards that the host may have replaced. */
@Injectable()
export class TaskRequestGuard implements CanActivate {
  constructor(private readonly authorizer: TaskRequestAuthorizer) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    await this.authorizer.authorizeRoute(context);
    return true;
  }
}
