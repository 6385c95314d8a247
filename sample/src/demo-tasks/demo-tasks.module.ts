import { Module } from '@nestjs/common';
import { ApprovalHandler } from './approval.handler.js';
import { FailHandler } from './fail.handler.js';
import { TicksHandler } from './ticks.handler.js';

/** Small tasks to try the transports with. */
@Module({ providers: [ApprovalHandler, FailHandler, TicksHandler] })
export class DemoTasksModule {}
