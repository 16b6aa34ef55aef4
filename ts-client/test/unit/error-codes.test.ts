// The client's table of error codes equals the protocol's.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { errorCode, isRetryable } from '../../src/error-codes.js'
import type { ErrorCode } from '../../src/index.js'

const page = readFileSync(new URL('../../../crates/protocol/PROTOCOL.md', import.meta.url), 'utf8')
const rows = [...page.matchAll(/^\| `([a-z_]+)` \|[^|]*\|[^|]*\| (yes|no) \|$/gm)]
const generated = readFileSync(new URL('../../src/generated/protocol.ts', import.meta.url), 'utf8')
const union = /^export type ErrorCode = (.*);$/m.exec(generated)?.[1] ?? ''

test('every code of the page and of the generated types is known, and no other', () => {
  const codes = rows.map(([, code]) => code)
  expect(codes).toHaveLength(21)
  expect(codes.toSorted()).toEqual([...union.matchAll(/"([a-z_]+)"/g)].map(([, code]) => code).toSorted())
  for (const [, code] of rows) expect(errorCode(code)).toBe(code)
  expect(errorCode('from_the_future')).toBe('internal')
})

test('what may succeed later is what the page says', () => {
  for (const [, code, retryable] of rows)
    expect(isRetryable(code as ErrorCode), code).toBe(retryable === 'yes')
})
