// The harness passes the scenario that the real sidecar passes in test/sidecar.
import { startSidecarHarness } from '../../src/testing/index.js'
import { answerLikeAModel, speaksTheProtocol } from '../sidecar/scenario.js'

speaksTheProtocol(async () => {
  const { baseUrl, wsUrl, close } = await startSidecarHarness({ answers: answerLikeAModel })
  return { base: baseUrl, socketUrl: wsUrl, end: close }
})
