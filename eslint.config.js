import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/** The clock, randomness and the environment are arguments; each is read in one place (docs/decisions/0001). */
const worldAccess = [
  { object: 'Date', property: 'now', message: 'take a Clock (core/clock.ts)' },
  { object: 'Math', property: 'random', message: 'take a Random (core/random.ts)' },
];

export default tseslint.config(
  { ignores: ['node_modules/', 'dist/', 'src/store/generated/', 'coverage/', 'bench/results/'] },
  eslint.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['eslint.config.js', 'jest.config.js', 'bin/mayfly.js'] }, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { prefer: 'type-imports', fixStyle: 'separate-type-imports' }],
      'max-depth': ['error', 3],
      eqeqeq: 'error',
    },
  },
  { files: ['src/**/*.ts'], ignores: ['src/core/clock.ts', 'src/core/random.ts'], rules: { 'no-restricted-properties': ['error', ...worldAccess] } },
  { files: ['src/**/*.ts'], ignores: ['src/config/**', 'src/cli/**', 'src/core/clock.ts', 'src/core/random.ts'], rules: { 'no-restricted-properties': ['error', ...worldAccess, { object: 'process', property: 'env', message: 'only config/ and cli/ read the environment' }] } },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts', 'demo/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  { files: ['**/*.js'], ...tseslint.configs.disableTypeChecked, languageOptions: { globals: { process: 'readonly', console: 'readonly' } } },
);
