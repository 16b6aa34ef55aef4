// Runs the real sidecar with the real model, on a free port, with its own folders.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** The folder of this package. */
export const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))

/** How long a slow machine may take to load the model. */
const START_MS = 60_000

/** Interval between two checks of a condition. */
const LOOK_MS = 25

/** How much of the sidecar's output is kept for the message of a failure. */
const LOG_CHARACTERS = 4000

/** A sidecar that can be killed and started again on the same data. */
export class Sidecar {
  readonly #folder = mkdtempSync(join(tmpdir(), 'streaming-llm-client-'))
  #process: ChildProcess | undefined
  #log = ''
  port = 0

  /** Starts one and waits until its model is loaded. */
  static async start(): Promise<Sidecar> {
    const sidecar = new Sidecar()
    await sidecar.startAgain()
    return sidecar
  }

  get base(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get socketUrl(): string {
    return `ws://127.0.0.1:${this.port}/ws/chat`
  }

  /** Starts the process, on the port that it had before if there was one. */
  async startAgain(): Promise<void> {
    this.#log = ''
    const child = spawn(binary(), ['serve'], {
      cwd: this.#folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        STREAMING_LLM_HOME: this.#folder,
        STREAMING_LLM_MODEL: model(),
        STREAMING_LLM_DEVICE: 'cpu',
        STREAMING_LLM_HOST: 'localhost',
        STREAMING_LLM_PORT: String(this.port),
        STREAMING_LLM_AGENTS_DIR: join(this.#folder, 'agents'),
        STREAMING_LLM_DATA_DIR: join(this.#folder, 'data'),
        STREAMING_LLM_LOG_DIR: join(this.#folder, 'logs'),
        STREAMING_LLM_SUMMARY_DIR: join(this.#folder, 'summaries')
      }
    })
    this.#process = child
    for (const stream of [child.stdout, child.stderr]) {
      stream
        .setEncoding('utf8')
        .on('data', (text: string) => (this.#log = (this.#log + text).slice(-LOG_CHARACTERS)))
    }
    const isRunning = (): boolean => child.exitCode === null && child.signalCode === null
    await until('the sidecar listens and its model is loaded', async () => {
      if (!isRunning()) throw new Error(`The sidecar has ended:\n${this.#log}`)
      this.port = Number(/listening on http:\/\/\S+:(\d+)/.exec(this.#log)?.[1] ?? this.port)
      return this.port !== 0 && (await fetch(`${this.base}/readyz`).catch(() => undefined))?.status === 200
    })
  }

  /** Kills the process, as a crash would. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** Kills the process and removes its folders. */
  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Reads a REST route. */
  async get<T>(path: string): Promise<T> {
    return (await (await fetch(this.base + path)).json()) as T
  }
}

/** Waits until `isTrue`, or fails with the name of what it waited for. */
export async function until(what: string, isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + START_MS
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`Waited ${START_MS} ms in vain: ${what}`)
    await wait(LOOK_MS)
  }
}

function binary(): string {
  const path = process.env['SIDECAR_BIN']
  if (path === undefined || path === '') {
    throw new Error(
      'SIDECAR_BIN is not set: run `cargo xtask test`, or set it to the path of a built sidecar'
    )
  }
  return path
}

/** Returns the file in SIDECAR_MODEL, else the one in the workspace's models folder. */
function model(): string {
  const given = process.env['SIDECAR_MODEL']
  if (given !== undefined && given !== '') return given
  const folder = join(PACKAGE, '..', 'models')
  const file = readdirSync(folder).find((name) => name.endsWith('.gguf'))
  if (file === undefined) throw new Error(`There is no model in ${folder}: run \`cargo xtask model\``)
  return join(folder, file)
}
