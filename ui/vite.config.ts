import { defineConfig } from 'vitest/config';

// The Go server (or the fixture server) answers the API while `npm run dev` serves the sources.
const backend = process.env.BINNACLE_URL ?? 'http://127.0.0.1:8700';

export default defineConfig({
  build: { target: 'es2022', sourcemap: false, chunkSizeWarningLimit: 400 },
  worker: { format: 'es' },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': backend, '/__fixture': backend },
  },
  test: { include: ['src/**/*.test.ts', 'test/fixture/**/*.test.ts'], environment: 'node' },
});
