// Writes docs/openapi.json from the built package: `npm run build && npm run openapi`.
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { createOpenApiDocument } from '../dist/swagger/index.js';

const file = fileURLToPath(new URL('../docs/openapi.json', import.meta.url));
const document = await createOpenApiDocument();
await writeFile(file, await format(JSON.stringify(document), { ...(await resolveConfig(file)), parser: 'json' }));
