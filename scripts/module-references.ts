import ts from 'typescript';

/** One place where a source file names another module. */
export interface ModuleReference {
  readonly specifier: string;
  /** Of the specifier's text, between the quotes. */
  readonly start: number;
  readonly end: number;
  /** Erased before it runs: `import type` and `export type`, or an import type such as `import('./x.ts').X`. */
  readonly typeOnly: boolean;
  readonly kind: 'import' | 'export' | 'dynamic' | 'url';
}

/**
 * Every module a file names: static imports, `export … from`, `import()`, `import type`, and `new URL('…', import.meta.url)`.
 * Read from the syntax tree, so quotes, comments and line breaks do not matter. `import { type A }` counts as a value
 * import, because under `verbatimModuleSyntax` it is one.
 */
export const readModuleReferences = (text: string, fileName: string): readonly ModuleReference[] => {
  const source = ts.createSourceFile(fileName, text, ts.ScriptTarget.Latest, true);
  const found: ModuleReference[] = [];
  const visit = (node: ts.Node): void => {
    const reference = referenceOf(node);
    if (reference !== undefined) found.push(reference);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
};

const referenceOf = (node: ts.Node): ModuleReference | undefined => {
  if (ts.isImportDeclaration(node)) return at(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword, 'import');
  if (ts.isExportDeclaration(node)) return at(node.moduleSpecifier, node.isTypeOnly, 'export');
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return at(node.argument.literal, true, 'import');
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return at(node.arguments[0], false, 'dynamic');
  if (ts.isNewExpression(node) && isModuleUrl(node)) return at(node.arguments?.[0], false, 'url');
  return undefined;
};

const isModuleUrl = (node: ts.NewExpression): boolean => node.expression.getText() === 'URL' && node.arguments?.[1]?.getText() === 'import.meta.url';

const at = (node: ts.Node | undefined, typeOnly: boolean, kind: ModuleReference['kind']): ModuleReference | undefined =>
  node !== undefined && ts.isStringLiteralLike(node) ? { specifier: node.text, start: node.getStart() + 1, end: node.getEnd() - 1, typeOnly, kind } : undefined;
