import { gzipSync } from 'node:zlib';
import { bundle } from '../../../test/client/support/bundle.js';

describe('The bundle of the main entry', () => {
  it('is less than 12 kB, minified and compressed, and imports nothing', async () => {
    const code = await bundle('packages/client/src/index.ts');
    expect(Buffer.from(code).toString()).not.toMatch(/\bimport\s*[({"']/);
    expect(gzipSync(code).length).toBeLessThan(12_000);
  });

  it('leaves React to the application', async () => {
    const code = Buffer.from(await bundle('packages/client/src/react/index.ts', { external: ['react'] }));
    expect(code.toString()).toMatch(/from\s*"react"/);
    expect(gzipSync(code).length).toBeLessThan(4_000);
  });
});
