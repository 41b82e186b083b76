import { defineConfig } from '@playwright/test';

// With BINNACLE_URL the demo walk runs against that server; without, everything runs against the fixture server.
const real = process.env.BINNACLE_URL;
const port = Number(process.env.UI_FIXTURE_PORT ?? 8719);

export default defineConfig({
  testDir: 'test/e2e',
  testMatch: real === undefined ? '*.spec.ts' : ['demo.spec.ts', 'figures.spec.ts'],
  outputDir: 'test-results',
  // One after another: the fixture's mode is one for all, and frames are measured.
  workers: 1,
  fullyParallel: false,
  // A busy two-core machine takes seconds to start a worker; waiting costs nothing where it does not.
  timeout: 180_000,
  expect: { timeout: 30_000 },
  reporter: [['list']],
  use: {
    baseURL: real ?? `http://127.0.0.1:${port}`,
    viewport: { width: 1600, height: 950 },
    colorScheme: 'dark',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--use-gl=angle',
        '--use-angle=swiftshader',
        '--enable-unsafe-swiftshader',
      ],
    },
  },
  ...(real === undefined
    ? {
        webServer: {
          command: 'npx tsx test/fixture/serve.ts',
          url: `http://127.0.0.1:${port}/api/v1/status`,
          env: { PORT: String(port) },
          reuseExistingServer: false,
          timeout: 60_000,
        },
      }
    : {}),
});
