// Runs the recorded exchanges of fixtures/protocol against this client.
import { expect, test } from 'vitest'
import { run } from './fixtures/runner.js'
import { scenarios } from './fixtures/scenario.js'

const all = scenarios()
const ours = all.filter(({ head }) => head.for !== 'servers')
const others = all.filter(({ head }) => head.for === 'servers')

test.each(ours)('$name: $head.scenario', async (scenario) => {
  for (const isSplit of [false, true]) await run(scenario, isSplit)
})

test('every other file says why this client is not tried with it', () => {
  expect(others.filter(({ head }) => (head.why ?? '') === '')).toEqual([])
  expect(others.filter(({ lines }) => lines.some((line) => line.app !== undefined))).toEqual([])
  // Detects a file that gets lost, or that is no longer for clients.
  expect({ ours: ours.length, others: others.length }).toEqual({ ours: 38, others: 25 })
})
