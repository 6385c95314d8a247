import { Injectable } from '@nestjs/common';
import { AuthContextResolver, type AuthContext, type AuthRequest } from '@taskbridge/nestjs';

const DEMO_TOKEN = /^Bearer demo-([\w.-]{1,64})$/i;

/** For trying out only: whoever sends `Authorization: Bearer demo-<name>` is `<name>`. */
@Injectable()
export class DemoAuth extends AuthContextResolver {
  resolve({ headers }: AuthRequest): AuthContext | null {
    const subject = DEMO_TOKEN.exec(headers.authorization ?? '')?.[1];
    return subject === undefined ? null : { subject, scopes: [], appId: null, attributes: {} };
  }
}
