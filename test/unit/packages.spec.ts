import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';

describe('the packages', () => {
  it('each carry the licence, which npm packs from their own folder only', async () => {
    const licence = await readFile('LICENSE', 'utf8');
    for (const folder of await readdir('packages')) {
      expect([folder, await readFile(`packages/${folder}/LICENSE`, 'utf8')]).toEqual([folder, licence]);
      expect(JSON.parse(await readFile(`packages/${folder}/package.json`, 'utf8'))).toMatchObject({
        license: 'Apache-2.0',
      });
    }
  });
});
