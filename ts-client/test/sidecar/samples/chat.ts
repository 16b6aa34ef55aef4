import { listAgents, streamChat, type ChatEvent } from 'streaming-llm-client'

const agents = await listAgents('http://localhost:8000')
const primary = agents[0]

const { sendMessage, stop } = await streamChat({
  backendUrl: 'ws://localhost:8000/ws/chat',
  agentId: primary.id,
  options: { temperature: 0.2, maxNewTokens: 400 },
  onEvent: (event: ChatEvent) => {
    if (event.type === 'token') process.stdout.write(event.token)
    if (event.type === 'error') console.error(event.message)
    if (event.type === 'done') console.log('\nassistant finished')
  }
})

// Send as many turns as you like over the same socket
await sendMessage({ message: 'Summarize the latest run.' })
await sendMessage({
  message: 'Now give me the key risks.',
  options: { temperature: 0.1 }
})

// When finished, close the stream
stop()
