// Runs the conformance tests of the protocol against both the harness and the real sidecar.
import { describe } from 'vitest'
import { startSidecarHarness } from '../../src/testing/index.js'
import { answerLikeAModel, protocolConformance } from './conformance.js'
import { Sidecar } from './sidecar.js'

describe('the harness', () => {
  protocolConformance(async () => {
    const { baseUrl, wsUrl, close } = await startSidecarHarness({ answers: answerLikeAModel })
    return { base: baseUrl, socketUrl: wsUrl, end: close }
  })
})

describe('the real sidecar', () => {
  protocolConformance(async () => {
    const sidecar = await Sidecar.start()
    const { base, socketUrl } = sidecar
    return { base, socketUrl, end: () => sidecar.remove() }
  })
})
