const swc = (type) => [
  '@swc/jest',
  {
    swcrc: false,
    sourceMaps: 'inline',
    module: { type },
    jsc: {
      target: 'es2022',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    },
  },
];

// Packages that are ESM only but are loaded with require() by Fastify's parts; Jest on Node < 24.9 cannot do that.
const esmOnly = '(?:cookie|content-disposition)';

const browser = process.env.TASKBRIDGE_BROWSER === '1';
const faults = process.env.TASKBRIDGE_FAULTS === '1';

export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test', '<rootDir>/packages'],
  testRegex: '\\.(?:e2e-)?spec\\.ts$',
  testPathIgnorePatterns: [
    '/node_modules/',
    '/dist/',
    ...(browser ? [] : ['<rootDir>/test/browser/']),
    ...(faults ? [] : ['<rootDir>/test/faults/']),
  ],
  modulePathIgnorePatterns: [
    '<rootDir>/.data',
    '<rootDir>/dist',
    '<rootDir>/dist-sample',
    '<rootDir>/packages/.*/dist',
  ],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { [`/node_modules/${esmOnly}/.+\\.js$`]: swc('commonjs'), '^.+\\.ts$': swc('es6') },
  transformIgnorePatterns: [`/node_modules/(?!(?:.*/node_modules/)?${esmOnly}/)`],
  moduleNameMapper: {
    '^@taskbridge/nestjs$': '<rootDir>/lib/index.ts',
    '^@taskbridge/nestjs/(.*)$': '<rootDir>/lib/$1/index.ts',
    '^@taskbridge/protocol$': '<rootDir>/packages/protocol/src/index.ts',
    '^@taskbridge/client$': '<rootDir>/packages/client/src/index.ts',
    '^@taskbridge/client/(.*)$': '<rootDir>/packages/client/src/$1/index.ts',
    '^@taskbridge/local-store$': '<rootDir>/packages/local-store/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  globalSetup: '<rootDir>/test/global-setup.mjs',
  globalTeardown: '<rootDir>/test/global-teardown.mjs',
  workerIdleMemoryLimit: '1024MB',
  maxWorkers: 2,
  testTimeout: 60_000,
};
