import { describeCuts } from './support/cut-suite.js';
import { ProcessFollower } from './support/follower.js';

describeCuts('Node', async ({ url }) => new ProcessFollower(url), 60_000);
