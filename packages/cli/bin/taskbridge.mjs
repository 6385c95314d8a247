#!/usr/bin/env node
await import('../dist/packages/cli/src/main.js');
