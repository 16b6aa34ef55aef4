// The harness and the real sidecar speak one protocol: the same scenario against both.
import { describe } from 'vitest'
import { startSidecarHarness } from '../../src/testing/index.js'
import { answerLikeAModel, speaksTheProtocol } from './scenario.js'
import { Sidecar } from './sidecar.js'

describe('the harness', () => {
  speaksTheProtocol(async () => {
    const { baseUrl, wsUrl, close } = await startSidecarHarness({ answers: answerLikeAModel })
    return { base: baseUrl, socketUrl: wsUrl, end: close }
  })
})

describe('the real sidecar', () => {
  speaksTheProtocol(async () => {
    const sidecar = await Sidecar.start()
    const { base, socketUrl } = sidecar
    return { base, socketUrl, end: () => sidecar.remove() }
  })
})
