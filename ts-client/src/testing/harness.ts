// Starts a harness: one HTTP server with a socket server beside it, on a free port of this machine, and everything behind.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Agent } from '../agents.js'
import type { ErrorCode } from '../events.js'
import { newId } from '../ids.js'
import type { ControllerEvent, Model } from '../rest-types.js'
import { AnswerScript, type Answer, type AnswerFunction } from './answers.js'
import { Connection, LIMITS } from './connection.js'
import { coreRoutes } from './core-routes.js'
import { Fault } from './faults.js'
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

/** Only this machine. */
const HOST = '127.0.0.1'

/** What the harness has and says. */
export interface HarnessOptions {
  /**
   * The answers in the order of the messages, over all conversations, or a function for every message. After the last one,
   * and without any, it answers `echo: ` and the message.
   */
  readonly answers?: readonly Answer[] | AnswerFunction
  /** The relay behind the narrator: its answers, or all about it. */
  readonly relay?: readonly RelayAnswer[] | RelayOptions
  /** Between two tokens; 0, the default, waits for nothing. */
  readonly tokenDelayMs?: number
  /** The agents; `planner`, `researcher` and `controller` unless told otherwise. */
  readonly agents?: readonly Agent[]
  /** The models, the default first; one called `scripted` unless told otherwise. */
  readonly models?: readonly Model[]
}

/** A harness that runs. */
export interface SidecarHarness {
  /** Where REST is: `http://127.0.0.1:…`. */
  readonly baseUrl: string
  /** Where the chat socket is: `ws://127.0.0.1:…/ws/chat`. */
  readonly wsUrl: string
  /** Everything that was received, frames and HTTP, in order; it grows. */
  readonly requests: readonly ReceivedRequest[]
  /** Logs an event in a conversation, as a controller or narrator would, and tells its readers; returns its `seq`. */
  readonly publish: (conversationId: string, event: ControllerEvent, turnId?: string) => number
  /** Breaks every open socket, as a network does (1006), or closes it with a code. Turns run on. */
  readonly cutSockets: (closeCode?: number) => void
  /** Refuses the next HTTP requests, one by one, with these codes. */
  readonly refuseNext: (...codes: readonly ErrorCode[]) => void
  /** Ends everything: sockets with 1001. Twice is once. */
  readonly close: () => Promise<void>
}

/** What comes with a harness that is told nothing else. */
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
 * @throws Error naming the package `ws` when that is not installed.
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

/** Everything that a harness consists of. */
class Harness {
  readonly requests: ReceivedRequest[] = []
  readonly refusals: ErrorCode[] = []
  readonly #conversations = new Conversations()
  readonly #connections = new Set<Connection>()
  readonly #owners = new Map<string, Connection>()
  readonly #agents: Map<string, Agent>
  readonly #models: readonly Model[]
  readonly #narrator: Narrator
  readonly #turns: Turns
  readonly #server: Server
  readonly #peers: PeerServer
  readonly #bootId = newId()
  /** The streams of the sockets, which outlive a close that the peer doesn't answer. */
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
      const note = (received: ReceivedRequest): void => {
        this.requests.push(received)
        const code = this.refusals.shift()
        if (code !== undefined) throw new Fault(code, `scripted: ${code}`)
      }
      void serve(routes, request, response, note)
    })
    this.#acceptSockets()
  }

  /** Listens on a free port, which it returns. */
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

  cut(isMeant: (connection: Connection) => boolean, closeCode: number | undefined): void {
    for (const connection of [...this.#connections].filter(isMeant)) {
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
    // A peer that doesn't answer has been told all the same.
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
        const connection = new Connection({
          socket,
          // All that was written leaves, then the stream ends without a close frame.
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
          // What is said into a connection that is cut gets lost.
          if (connection.isOver) return
          const text = data.toString()
          this.requests.push({ kind: 'frame', socket: id, frame: jsonOrText(text) })
          if (isBinary) connection.close(1003, 'frames are text')
          else connection.hear(text)
        })
        socket.on('close', (code) => {
          this.#connections.delete(connection)
          connection.lost(code)
        })
        // A close follows, which knows the code.
        socket.on('error', () => undefined)
      })
    })
  }

  async #delete(id: string): Promise<void> {
    await this.#turns.cancelAll(this.#conversations.existing(id))
    this.#conversations.delete(id)
    for (const connection of this.#connections) connection.forget(id)
  }
}

function isList(relay: readonly RelayAnswer[] | RelayOptions): relay is readonly RelayAnswer[] {
  return Array.isArray(relay)
}
