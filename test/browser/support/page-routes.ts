import type { BrowserContext } from 'playwright-core';
import { bundle } from '../../client/support/bundle.js';

const STYLE = `body { font: 16px/1.5 system-ui; margin: 2rem; max-width: 40rem } progress { width: 100%; height: 1.5rem }
dialog { border: 1px solid #888; border-radius: 8px; padding: 1.5rem; box-shadow: 0 8px 32px #0003 }
button { font: inherit; margin-right: .5rem; padding: .25rem 1rem }`;

/**
 * Gives the browser the pages at `/pages/<name>` of any origin, each with the package bundled as an application would.
 * They do not pass the network, so that its faults are the client's alone.
 */
export async function routePages(context: BrowserContext, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const body = Buffer.from(await bundle(`test/browser/pages/${name}.page.ts`));
    const html = `<!doctype html><meta charset="utf-8"><title>${name}</title><style>${STYLE}</style><div id="root"></div><script type="module" src="/pages/${name}.js"></script>`;
    await context.route(new RegExp(`/pages/${name}(?:\\?.*)?$`), (route) =>
      route.fulfill({ contentType: 'text/html; charset=utf-8', body: html }),
    );
    await context.route(`**/pages/${name}.js`, (route) => route.fulfill({ contentType: 'text/javascript', body }));
  }
}
