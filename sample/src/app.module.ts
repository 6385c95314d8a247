import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { TaskBridgeModule } from '@taskbridge/nestjs';
import { DemoAuth } from './auth/demo-auth.js';
import { ContactsModule } from './contacts/contacts.module.js';
import { connectAndMigrate, databaseOptions } from './database/connect-and-migrate.js';
import { DemoTasksModule } from './demo-tasks/demo-tasks.module.js';
import { PageController } from './page.controller.js';
import { WelcomeController } from './welcome.controller.js';

/** An ordinary Nest application that uses the library: its own DataSource, one import, and the handlers. */
@Module({})
export class AppModule {
  static forDatabase(url: string): DynamicModule {
    return {
      module: AppModule,
      imports: [
        TypeOrmModule.forRootAsync({ useFactory: () => databaseOptions(url), dataSourceFactory: connectAndMigrate }),
        TaskBridgeModule.forRoot({ authContextResolver: DemoAuth, runMigrations: true }),
        ContactsModule,
        DemoTasksModule,
      ],
      controllers: [WelcomeController, PageController],
    };
  }
}
