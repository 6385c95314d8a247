import type { TypeOrmModuleOptions } from '@nestjs/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { CreateContacts1764100000000 } from './1764100000000-create-contacts.js';

/** TypeORM takes no lock, and instances that boot together would create the tables twice; the number is the sample's own. */
const WAIT_FOR_OTHER_INSTANCES = 'select pg_advisory_xact_lock(1668246886)';

/** The application's own DataSource options; entities come from the modules. */
export function databaseOptions(url: string): TypeOrmModuleOptions {
  return {
    type: 'postgres',
    url,
    applicationName: 'taskbridge-sample',
    autoLoadEntities: true,
    migrations: [CreateContacts1764100000000],
    retryAttempts: 3,
    retryDelay: 1_000,
  };
}

/** Connects and brings the sample's tables up to date; any number of instances may do so at once. */
export async function connectAndMigrate(options?: DataSourceOptions): Promise<DataSource> {
  if (options === undefined) throw new TypeError('No options for the database');
  const dataSource = await new DataSource(options).initialize();
  await dataSource.transaction(async (holder) => {
    await holder.query(WAIT_FOR_OTHER_INSTANCES);
    await dataSource.runMigrations();
  });
  return dataSource;
}
