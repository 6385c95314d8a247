import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { bundle } from '../../../test/client/support/bundle.js';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { DemoAuth } from '../../../sample/src/auth/demo-auth.js';
import { DemoTasksModule } from '../../../sample/src/demo-tasks/demo-tasks.module.js';

describe('The examples of the client’s README', () => {
  let host: TestApp;
  let folder: string;
  let snippets: string[];

  beforeAll(async () => {
    host = await startTestApp({ imports: [DemoTasksModule], taskBridge: { authContextResolver: DemoAuth } });
    await mkdir('.data', { recursive: true });
    folder = await mkdtemp('.data/client-readme-');
    const readme = await readFile('packages/client/README.md', 'utf8');
    snippets = [...readme.matchAll(/```tsx?\n(.*?)```/gs)].map(([, code = '']) => code);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
    await host.close();
  });

  /** The lines that it prints, run as it is against a real server. */
  const printed = async (index: number): Promise<string[]> => {
    const source = path.join(folder, `${index}.ts`);
    await writeFile(source, (snippets[index] ?? '').replaceAll('http://localhost:3000', host.url));
    const program = path.join(folder, `${index}.mjs`);
    await writeFile(program, await bundle(source, { platform: 'node' }));
    const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 40_000 });
    return stdout.trim().split('\n');
  };

  it('follow a task and answer its question', async () => {
    expect(await printed(0)).toEqual([
      "Approve this request? [ 'approve', 'reject' ]",
      "{ decision: 'approve', decidedBy: 'ada' }",
    ]);
  });

  it('wait for a result and tell why there is none', async () => {
    expect(await printed(1)).toEqual(['Failed on purpose after 3 ticks']);
  });

  it('follow many tasks on one connection', async () => {
    expect((await printed(2)).toSorted()).toEqual(['{ ticks: 1 }', '{ ticks: 2 }', '{ ticks: 3 }']);
  });

  it('use the React hook by names that exist', async () => {
    const source = path.join(folder, 'hook.tsx');
    await writeFile(source, `${snippets[3]}\nexport { Import };`);
    const code = Buffer.from(await bundle(source, { external: ['react', 'react/jsx-runtime'] }));
    expect(snippets).toHaveLength(4);
    expect(code.toString()).toContain('useSyncExternalStore');
  });
});
