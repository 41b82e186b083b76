import tseslint from 'typescript-eslint';

// Imports go strictly downhill; each zone names what it may not reach. The order is the architecture:
// base <- api <- model <- graph, timeline, chart <- widgets <- pages <- main.
const zones = {
  base: ['api', 'model', 'graph', 'timeline', 'chart', 'widgets', 'pages'],
  api: ['model', 'graph', 'timeline', 'chart', 'widgets', 'pages'],
  model: ['graph', 'timeline', 'chart', 'widgets', 'pages'],
  graph: ['timeline', 'chart', 'widgets', 'pages'],
  timeline: ['graph', 'chart', 'widgets', 'pages'],
  chart: ['graph', 'timeline', 'widgets', 'pages'],
  widgets: ['pages'],
};
const frameworkFree = ['base', 'api', 'model', 'graph', 'timeline', 'chart'];

const zoneRules = Object.entries(zones).map(([zone, uphill]) => ({
  files: [`src/${zone}/**/*.{ts,tsx}`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: uphill.map((z) => `**/${z}/**`),
            message: `src/${zone} may not import uphill; see eslint.config.js.`,
          },
          ...(frameworkFree.includes(zone)
            ? [
                {
                  group: ['preact', 'preact/*', '@preact/*'],
                  message: `src/${zone} is framework-free: give it callbacks instead.`,
                },
              ]
            : []),
        ],
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'test-results/', 'public/'] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // A statement-bodied arrow only to discard a value costs a line and says nothing.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // Typed arrays are walked by index in the hot loops.
      '@typescript-eslint/prefer-for-of': 'off',
      // Inside a loop bound the index is proven; noUncheckedIndexedAccess cannot see it.
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['test/**'], rules: { 'no-console': 'off' } },
  { files: ['eslint.config.js'], ...tseslint.configs.disableTypeChecked },
  ...zoneRules,
);
