import { Controller, Get } from '@nestjs/common';

/** A route of the host's own, by which the demo tells this app from others. */
@Controller()
export class WelcomeController {
  @Get()
  welcome(): { name: string; tasks: string } {
    return { name: 'taskbridge-sample', tasks: '/api/v1/tasks' };
  }
}
