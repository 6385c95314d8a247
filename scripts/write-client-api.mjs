import { writeFile } from 'node:fs/promises';
import { clientApi } from './client-api.mjs';

await writeFile('packages/client/API.md', clientApi());
