import { listAgents, streamChat, type ChatEvent } from 'streaming-llm-client'

const agents = await listAgents('http://localhost:8000')
const primary = agents[0]

const { sendMessage, stop } = await streamChat({
  backendUrl: 'ws://localhost:8000/ws/chat',
  agentId: primary.id,
  options: { temperature: 0.2, maxNewTokens: 400 },
  onEvent: (event: ChatEvent) => {
    // handle token / done / error events
  }
})

await sendMessage({ message: 'Summarize the latest run.' })
stop()
