// Two projects: `unit` needs nothing, `sidecar` starts the real binary (SIDECAR_BIN) with the real model.
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/**
 * The package under its own name, as a host imports it; the longer name first, since a name also matches as a
 * prefix.
 */
const alias = {
  'streaming-llm-client/testing': source('src/testing/index.ts'),
  'streaming-llm-client': source('src/index.ts')
}

/** Generous limit for a busy machine; each test takes a moment. */
const SLOW_MS = 60_000

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // No test measures time, so a busy machine may be slow.
          testTimeout: SLOW_MS,
          expect: { poll: { timeout: SLOW_MS, interval: 5 } }
        }
      },
      {
        test: {
          name: 'sidecar',
          include: ['test/sidecar/**/*.test.ts'],
          // One model at a time, with time to load it and to answer on a slow machine.
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
