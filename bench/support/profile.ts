import { Session } from 'node:inspector/promises';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

const FOLDER = '.data';
const SAMPLE_EVERY_US = 200;

/** Writes a CPU profile of what `work` does in this process to `.data/<name>.cpuprofile`, for a browser's developer tools. */
export async function profiled<T>(name: string, work: () => Promise<T>): Promise<T> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_US });
  await session.post('Profiler.start');
  try {
    return await work();
  } finally {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    await mkdir(FOLDER, { recursive: true });
    await writeFile(path.join(FOLDER, `${name}.cpuprofile`), JSON.stringify(profile));
  }
}
