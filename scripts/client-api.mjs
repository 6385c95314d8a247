import path from 'node:path';
import ts from 'typescript';

const PACKAGE = 'packages/client';
const ENTRIES = {
  '@taskbridge/client': 'index',
  '@taskbridge/client/node': 'node/index',
  '@taskbridge/client/react': 'react/index',
};

/** Everything the client exports, as declarations without comments and private members; a change of it is a change of the API. */
export function clientApi() {
  const declarations = emitDeclarations();
  const sections = Object.entries(ENTRIES).map(([name, entry]) => {
    const lines = exportsOf(declarations, entry).map(({ file, exported }) =>
      declarationOf(declarations, file, exported),
    );
    return `## ${name}\n\n\`\`\`ts\n${lines.join('\n\n')}\n\`\`\`\n`;
  });
  return `# The API of the client\n\nWritten by \`npm run api\`; a test compares it.\n\n${sections.join('\n')}`;
}

/** Source files of declarations by their path without an extension. */
function emitDeclarations() {
  const config = ts.getParsedCommandLineOfConfigFile(
    'tsconfig.json',
    {},
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic() {} },
  );
  const files = Object.values(ENTRIES).map((entry) => path.resolve(PACKAGE, 'src', `${entry}.ts`));
  const options = {
    ...config.options,
    noEmit: false,
    emitDeclarationOnly: true,
    declaration: true,
    sourceMap: false,
    removeComments: true,
  };
  const program = ts.createProgram(files, { ...options, outDir: '/out', rootDir: path.resolve('packages') });
  const emitted = new Map();
  program.emit(undefined, (file, text) => {
    const [, name] = /client\/src\/(.+)\.d\.ts$/.exec(file) ?? [];
    if (name) emitted.set(name, ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  });
  return emitted;
}

function exportsOf(declarations, entry) {
  const list = [];
  for (const statement of declarations.get(entry).statements) {
    if (!ts.isExportDeclaration(statement) || !statement.moduleSpecifier) continue;
    const file = path.posix.join(path.posix.dirname(entry), statement.moduleSpecifier.text).replace(/\.js$/, '');
    for (const { name } of statement.exportClause.elements) list.push({ file, exported: name.text });
  }
  return list.toSorted((a, b) => (a.exported < b.exported ? -1 : 1));
}

function declarationOf(declarations, file, exported) {
  const source = declarations.get(file);
  const statement = source.statements.find((one) => namesOf(one).includes(exported));
  if (!statement) throw new Error(`${exported} is not declared in ${file}`);
  return statement
    .getText(source)
    .split('\n')
    .filter((line) => !/^\s+private /.test(line))
    .join('\n');
}

function namesOf(statement) {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  return statement.name ? [statement.name.text] : [];
}
