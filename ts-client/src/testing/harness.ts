// Starts a harness: an HTTP server and a socket server on a free port of this machine, and the state behind
// them.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Agent } from '../agents.js'
import type { ErrorCode } from '../events.js'
import { newId } from '../ids.js'
import type { ControllerEvent, Model } from '../rest-types.js'
import { AnswerScript, type Answer, type AnswerFunction } from './answers.js'
import { ServerConnection, LIMITS } from './connection.js'
import { coreRoutes } from './core-routes.js'
import { ProtocolError } from './protocol-error.js'
import { serve } from './http.js'
import { Leases } from './leases.js'
import { Conversations } from './log.js'
import { Narrator, type RelayAnswer, type RelayOptions } from './narrator.js'
import { narratorRoutes } from './narrator-routes.js'
import { jsonOrText, type ReceivedRequest } from './requests.js'
import { Turns } from './turns.js'
import { peerServer, type PeerServer } from './ws-package.js'

/** The path of the chat socket. */
const CHAT_PATH = '/ws/chat'

/** Only this machine can connect. */
const HOST = '127.0.0.1'

/** Options of a harness. */
export interface HarnessOptions {
  /**
   * The answers in the order of the messages, over all conversations, or a function for every message. After
   * the last one, and without any, it answers `echo: ` and the message.
   */
  readonly answers?: readonly Answer[] | AnswerFunction
  /** The relay behind the narrator: its answers, or all of its options. */
  readonly relay?: readonly RelayAnswer[] | RelayOptions
  /** Delay between two tokens; 0, the default, waits for nothing. */
  readonly tokenDelayMs?: number
  /** The agents; `planner`, `researcher` and `controller` by default. */
  readonly agents?: readonly Agent[]
  /** The models, the default first; one called `scripted` by default. */
  readonly models?: readonly Model[]
}

/** A running harness. */
export interface SidecarHarness {
  /** The REST base: `http://127.0.0.1:…`. */
  readonly baseUrl: string
  /** The chat socket: `ws://127.0.0.1:…/ws/chat`. */
  readonly wsUrl: string
  /** Everything that was received, frames and HTTP, in order; it grows. */
  readonly requests: readonly ReceivedRequest[]
  /**
   * Logs an event in a conversation, as a controller or narrator would, and sends it to its readers; returns
   * its `seq`.
   */
  readonly publish: (conversationId: string, event: ControllerEvent, turnId?: string) => number
  /** Breaks every open socket, as a network does (1006), or closes it with a code. Turns run on. */
  readonly cutSockets: (closeCode?: number) => void
  /** Refuses the next HTTP requests, one by one, with these codes. */
  readonly refuseNext: (...codes: readonly ErrorCode[]) => void
  /** Stops everything, and closes sockets with 1001. Further calls do nothing. */
  readonly close: () => Promise<void>
}

/** The default agents. */
const AGENTS: readonly Agent[] = ['controller', 'planner', 'researcher'].map((id) => ({
  id,
  name: id.charAt(0).toUpperCase() + id.slice(1),
  system_prompt: `You are the ${id}.`,
  markdown_context: ''
}))

const MODELS: readonly Model[] = [
  { model: 'scripted', driver: 'local', allowed: true, available: true, loaded: true }
]

/**
 * Starts a scripted sidecar.
 *
 * @throws Error naming the package `ws` if that is not installed.
 */
export async function startSidecarHarness(options: HarnessOptions = {}): Promise<SidecarHarness> {
  const harness = new Harness(options, await peerServer(LIMITS.frameBytes))
  const port = await harness.listen()
  return {
    baseUrl: `http://${HOST}:${port}`,
    wsUrl: `ws://${HOST}:${port}${CHAT_PATH}`,
    requests: harness.requests,
    publish: (conversationId, event, turnId) => harness.publish(conversationId, event, turnId),
    cutSockets: (closeCode) => harness.cut(() => true, closeCode),
    refuseNext: (...codes) => harness.refusals.push(...codes),
    close: () => harness.close()
  }
}

/** The servers and the state of a harness. */
class Harness {
  readonly requests: ReceivedRequest[] = []
  readonly refusals: ErrorCode[] = []
  readonly #conversations = new Conversations()
  readonly #connections = new Set<ServerConnection>()
  readonly #owners = new Map<string, ServerConnection>()
  readonly #agents: Map<string, Agent>
  readonly #models: readonly Model[]
  readonly #narrator: Narrator
  readonly #turns: Turns
  readonly #server: Server
  readonly #peers: PeerServer
  readonly #bootId = newId()
  /** The streams of the sockets, which outlive a close that the client doesn't answer. */
  readonly #streams = new Set<Duplex>()
  #sockets = 0
  #closed: Promise<void> | undefined

  constructor(options: HarnessOptions, peers: PeerServer) {
    const { agents = AGENTS, models = MODELS, relay = {}, answers, tokenDelayMs = 0 } = options
    this.#peers = peers
    this.#models = models
    this.#agents = new Map(agents.map((agent) => [agent.id, agent]))
    const leases = new Leases()
    const relayOptions: RelayOptions = isList(relay) ? { answers: relay } : relay
    this.#narrator = new Narrator(this.#conversations, leases, relayOptions)
    this.#turns = new Turns({
      conversations: this.#conversations,
      script: new AnswerScript(answers),
      tokenDelayMs,
      models,
      hasAgent: (id) => this.#agents.has(id),
      cut: (id, code) => this.cut((connection) => connection.reads(id), code)
    })
    const [conversations, narrator] = [this.#conversations, this.#narrator]
    const routes = {
      ...coreRoutes({
        agents: this.#agents,
        models,
        conversations,
        bootId: this.#bootId,
        deleteConversation: (id) => this.#delete(id)
      }),
      ...narratorRoutes({ narrator, leases, conversations })
    }
    this.#server = createServer((request, response) => {
      const onRequest = (received: ReceivedRequest): void => {
        this.requests.push(received)
        const code = this.refusals.shift()
        if (code !== undefined) throw new ProtocolError(code, `scripted: ${code}`)
      }
      void serve(routes, request, response, onRequest)
    })
    this.#acceptSockets()
  }

  /** Listens on a free port, and returns it. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, HOST, resolve)
    })
    return (this.#server.address() as AddressInfo).port
  }

  publish(conversationId: string, event: ControllerEvent, turnId: string | undefined): number {
    return this.#conversations.open(conversationId).append(turnId, { ...event })
  }

  cut(isAffected: (connection: ServerConnection) => boolean, closeCode: number | undefined): void {
    for (const connection of [...this.#connections].filter(isAffected)) {
      if (closeCode === undefined) connection.cut()
      else connection.close(closeCode, 'scripted')
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    this.#narrator.close()
    await Promise.all(this.#conversations.all().map((conversation) => this.#turns.cancelAll(conversation)))
    for (const connection of this.#connections) connection.close(1001, 'the harness is closed')
    // Sends the close frames, and doesn't wait for an answer to them.
    for (const stream of this.#streams) stream.end(() => stream.destroy())
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  #acceptSockets(): void {
    this.#server.on('upgrade', (request, stream, head) => {
      this.#streams.add(stream)
      stream.on('close', () => this.#streams.delete(stream))
      stream.on('error', () => stream.destroy())
      if (new URL(request.url ?? '/', 'http://harness').pathname !== CHAT_PATH) {
        stream.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n')
        return
      }
      this.#peers.handleUpgrade(request, stream, head, (socket) => {
        this.#sockets += 1
        const id = this.#sockets
        const connection = new ServerConnection({
          socket,
          // Flushes what was written, then ends the stream without a close frame.
          sever: () => stream.end(),
          conversations: this.#conversations,
          turns: this.#turns,
          hasAgent: (agent) => this.#agents.has(agent),
          model: this.#models[0]?.model ?? '',
          bootId: this.#bootId,
          owners: this.#owners
        })
        this.#connections.add(connection)
        socket.on('message', (data, isBinary) => {
          // Frames on a connection that was cut are lost.
          if (connection.isClosed) return
          const text = data.toString()
          this.requests.push({ kind: 'frame', socket: id, frame: jsonOrText(text) })
          if (isBinary) connection.close(1003, 'frames are text')
          else connection.receive(text)
        })
        socket.on('close', (code) => {
          this.#connections.delete(connection)
          connection.onClosed(code)
        })
        // A close follows, which has the code.
        socket.on('error', () => undefined)
      })
    })
  }

  async #delete(id: string): Promise<void> {
    await this.#turns.cancelAll(this.#conversations.existing(id))
    this.#conversations.delete(id)
    for (const connection of this.#connections) connection.onDeleted(id)
  }
}

function isList(relay: readonly RelayAnswer[] | RelayOptions): relay is readonly RelayAnswer[] {
  return Array.isArray(relay)
}
