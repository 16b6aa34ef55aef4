// The harness passes the conformance tests that the real sidecar passes in test/sidecar.
import { startSidecarHarness } from '../../src/testing/index.js'
import { answerLikeAModel, protocolConformance } from '../sidecar/conformance.js'

protocolConformance(async () => {
  const { baseUrl, wsUrl, close } = await startSidecarHarness({ answers: answerLikeAModel })
  return { base: baseUrl, socketUrl: wsUrl, end: close }
})
