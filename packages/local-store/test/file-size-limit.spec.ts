import { AnnouncingProcess } from './support/announcing-process.js';
import { CompiledPackage } from './support/compiled-package.js';
import { StoreFolder } from './support/stores.js';

const isLinux = process.platform === 'linux';
const leftOut = isLinux ? '' : ' (left out: it can be read and set on Linux alone)';

(isLinux ? describe : describe.skip)(`a local task store under a limit of the size of files${leftOut}`, () => {
  let folder: StoreFolder;
  let compiled: CompiledPackage;

  beforeAll(() => {
    compiled = new CompiledPackage();
  });

  afterAll(() => compiled.remove());

  beforeEach(() => {
    folder = new StoreFolder();
  });

  afterEach(() => folder.remove());

  const run = async (scenario: string, limit: number, reserve: number): Promise<Record<string, unknown>> => {
    const args = [folder.file, scenario, String(limit), String(reserve)];
    const worker = new AnnouncingProcess(compiled.program('limited-worker'), args);
    await worker.ended();
    return JSON.parse(worker.lines.join('')) as Record<string, unknown>;
  };

  it.each([1_000_000, 4_000_000, 12_000_000])(
    'of %s bytes refuses output as on a full disk, and keeps the room of finals and acknowledgements',
    async (limit) => {
      const { stored, largest, ...happened } = await run('full', limit, limit / 20);
      const chunks = (stored as string[]).length;
      expect(chunks).toBeGreaterThan(limit / 40_000);
      expect(largest).toBeLessThanOrEqual(limit);
      expect(happened).toEqual({
        refused: 'STORE_DISK_FULL',
        refusals: ['STORE_DISK_FULL'],
        receipt: 'STORE_DISK_FULL',
        kept: stored,
        cut: [false, false],
        interrupted: ['c'],
        delivered: chunks + 3,
        again: 'none',
      });
    },
  );

  it('has room for a final of half the limit beside the output that it has taken', async () => {
    const { stored, kept, ...happened } = await run('large', 2_048_000, 1_048_576);
    expect(happened).toEqual({ refused: 'STORE_DISK_FULL', cut: false });
    expect(kept).toEqual([...(stored as string[]), 'a/attempt-1/final']);
  });

  it('goes on where it was refused once the limit is raised', async () => {
    const { stored, ...happened } = await run('raised', 3_000_000, 150_000);
    expect(happened).toEqual({ refused: 'STORE_DISK_FULL', cut: false, pending: Number(stored) + 1001 });
  });

  it('delivers what it can of a file that is beyond the limit, and the rest once that is raised', async () => {
    const { delivered, left, rest, ...happened } = await run('outgrown', 2_000_000, 100_000);
    expect(happened).toEqual({ stored: 1000, refused: 'STORE_DISK_FULL', cut: false });
    expect(delivered).toBeGreaterThan(50);
    expect([Number(delivered) + Number(left), rest]).toEqual([1000, left]);
  });
});
