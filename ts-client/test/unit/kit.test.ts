// The recorded exchanges of fixtures/protocol, played to this client.
import { expect, test } from 'vitest'
import { play } from './kit/play.js'
import { scenarios } from './kit/scenario.js'

const all = scenarios()
const ours = all.filter(({ head }) => head.for !== 'servers')
const others = all.filter(({ head }) => head.for === 'servers')

test.each(ours)('$name: $head.scenario', async (scenario) => {
  for (const isSplit of [false, true]) await play(scenario, isSplit)
})

test('every other file says why this client is not tried with it', () => {
  expect(others.filter(({ head }) => (head.why ?? '') === '')).toEqual([])
  expect(others.filter(({ lines }) => lines.some((line) => line.app !== undefined))).toEqual([])
  // A file that gets lost, or loses its client, is noticed.
  expect({ ours: ours.length, others: others.length }).toEqual({ ours: 38, others: 25 })
})
