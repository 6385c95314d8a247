import { describeFaults } from './support/fault-suite.js';
import { ProcessFollower } from './support/follower.js';

describeFaults('Node', async ({ url }) => new ProcessFollower(url));
