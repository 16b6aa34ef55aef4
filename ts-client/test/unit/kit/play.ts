// Plays the server's side of a recorded exchange to a stream, and calls what the application calls.
import { expect } from 'vitest'
import { ChatError, type ChatStream, type StreamChatOptions, type TurnResult } from '../../../src/index.js'
import { begin, type Bench, type FakeSocket } from '../fake.js'
import { inOneSpelling, Names } from './names.js'
import { wordByWord, type Json, type Line, type Scenario } from './scenario.js'

/** The sockets that are the client's; all others are somebody else's. */
const OURS: ReadonlySet<string> = new Set(['client', 'client2'])

/** Plays one file; `isSplit` sends its tokens word by word. */
export async function play(scenario: Scenario, isSplit: boolean): Promise<void> {
  const player = new Player(scenario.head.client ?? {}, isSplit)
  for (const [index, line] of scenario.lines.entries()) {
    await player.do(line).catch((cause: unknown) => {
      throw new Error(`${scenario.name}.jsonl:${index + 2}`, { cause })
    })
  }
  await player.expect(scenario.head.expect ?? {})
}

class Player {
  readonly #names = new Names()
  readonly #bench: Bench
  readonly #isSplit: boolean
  readonly #sockets = new Map<string, FakeSocket>()
  /** How many frames of each socket have been compared. */
  readonly #compared = new Map<FakeSocket, number>()
  readonly #turns = new Map<string, Promise<unknown>>()
  /** What the application must be given, in order. */
  readonly #due: Json[] = []
  #stream: ChatStream | undefined

  constructor(client: Json, isSplit: boolean) {
    this.#isSplit = isSplit
    this.#bench = begin(client as Partial<StreamChatOptions>)
  }

  async do(line: Line): Promise<void> {
    if (line.app !== undefined) this.#call(line)
    const name = line.socket
    if (name === undefined || !OURS.has(name)) return
    if (line.opens === true) return this.#open(name)
    const socket = this.#sockets.get(name)
    if (socket === undefined) throw new Error(`${name} is not open`)
    if (line.sends !== undefined) this.#compare(socket, line.sends)
    if (line.gets !== undefined) this.#say(socket, line)
    if (line.closes !== undefined) expect(socket.closedWith).toEqual({ code: line.closes })
    if (line.closed !== undefined) socket.drop(line.closed)
    if (line.breaks === true) socket.drop(1006)
    // A turn's promise is settled by then.
    await Promise.resolve()
  }

  async expect({ turns = {}, unknown = 0 }: NonNullable<Scenario['head']['expect']>): Promise<void> {
    for (const [socket, count] of this.#compared) expect(socket.sent.slice(count)).toEqual([])
    expect([...this.#turns.keys()]).toEqual(Object.keys(turns))
    for (const [name, expected] of Object.entries(turns)) {
      expect(await this.#turns.get(name), name).toMatchObject(expected)
    }
    this.#expectEvents()
    expect(this.#bench.unknown).toHaveLength(unknown)
  }

  /** All that is due came, in order; what the client finds out by itself comes beside, and is in no log. */
  #expectEvents(): void {
    const isLogged = (event: object): boolean => 'at' in event
    const { events } = this.#bench
    expect(events.filter(isLogged)).toMatchObject(this.#due.filter(isLogged))
    let from = 0
    for (const frame of this.#due) {
      const due: { asymmetricMatch: (event: unknown) => boolean } = expect.objectContaining({ ...frame })
      const index = events.findIndex((event, place) => place >= from && due.asymmetricMatch(event))
      expect(index, JSON.stringify(frame)).not.toBe(-1)
      from = index + 1
    }
  }

  async #open(name: string): Promise<void> {
    if (this.#stream !== undefined) this.#bench.clock.tick()
    const { socket } = this.#bench
    this.#sockets.set(name, socket.open())
    this.#compared.set(socket, 0)
    this.#stream ??= await this.#bench.opening
  }

  #compare(socket: FakeSocket, expected: Json): void {
    const index = this.#compared.get(socket) ?? 0
    const sent = socket.sent[index]
    if (sent === undefined) throw new Error('nothing was sent')
    this.#compared.set(socket, index + 1)
    const said = inOneSpelling(sent)
    this.#names.learn(expected, said)
    expect(said).toEqual(this.#names.fill(expected))
  }

  #say(socket: FakeSocket, { gets = {}, foreign, dropped }: Line): void {
    const filled = this.#names.fill(gets) as Json
    const frames = this.#isSplit ? wordByWord(filled) : [filled]
    if (foreign === undefined && dropped === undefined) this.#due.push(...frames)
    socket.says(...frames)
  }

  #call({ app, with: given = {}, as: name }: Line): void {
    const stream = this.#stream
    if (stream === undefined) throw new Error('there is no stream yet')
    const args = this.#names.fill(given) as never
    if (app === 'sendMessage' || app === 'regenerate') {
      this.#turns.set(String(name), outcome(stream[app](args)))
    } else if (app === 'sendToolOutput') stream.sendToolOutput(args)
    else if (app === 'cancel') stream.cancel((args as { readonly turnId?: string }).turnId)
    else if (app === 'stop' || app === 'detach') stream[app]()
    else throw new Error(`nobody knows how to call ${app}`)
  }
}

/** How a turn ended, either way. */
function outcome(result: Promise<TurnResult>): Promise<unknown> {
  return result.catch((error: unknown) => {
    if (!(error instanceof ChatError)) throw error
    return { error: error.code }
  })
}
