// Two projects: `unit` needs nothing, `sidecar` starts the real binary (SIDECAR_BIN) with the real model.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        test: {
          name: 'sidecar',
          include: ['test/sidecar/**/*.test.ts'],
          // One model at a time, and room for it to be loaded and to answer on a slow machine.
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
