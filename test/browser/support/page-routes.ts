import type { FastifyInstance } from 'fastify';
import { bundle } from '../../client/support/bundle.js';

const STYLE = `body { font: 16px/1.5 system-ui; margin: 2rem; max-width: 40rem } progress { width: 100%; height: 1.5rem }
dialog { border: 1px solid #888; border-radius: 8px; padding: 1.5rem; box-shadow: 0 8px 32px #0003 }
button { font: inherit; margin-right: .5rem; padding: .25rem 1rem }`;

/** Serves the pages at `/pages/<name>`, each with the package bundled as an application would. */
export async function servePages(fastify: FastifyInstance, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const script = Buffer.from(await bundle(`test/browser/pages/${name}.page.ts`));
    const html = `<!doctype html><meta charset="utf-8"><title>${name}</title><style>${STYLE}</style><div id="root"></div><script type="module" src="/pages/${name}.js"></script>`;
    fastify.get(`/pages/${name}`, (_, reply) => reply.type('text/html; charset=utf-8').send(html));
    fastify.get(`/pages/${name}.js`, (_, reply) => reply.type('text/javascript').send(script));
  }
}
