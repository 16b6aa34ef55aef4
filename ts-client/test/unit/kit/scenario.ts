// Reads the recorded exchanges of fixtures/protocol: a head, and then a line for everything that happens.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Any JSON object. */
export type Json = Readonly<Record<string, unknown>>

/** What the application gets for a turn. */
export type Expected = { readonly text: string; readonly finishReason: string } | { readonly error: string }

/** The first line of a file. */
export interface Head {
  readonly scenario: string
  readonly for?: 'servers' | 'clients'
  readonly why?: string
  readonly client?: Json
  readonly expect?: { readonly turns?: Readonly<Record<string, Expected>>; readonly unknown?: number }
}

/** One line after it. */
export interface Line {
  readonly socket?: string
  readonly opens?: true
  readonly sends?: Json
  readonly gets?: Json
  readonly foreign?: true
  readonly dropped?: true
  readonly closes?: number
  readonly closed?: number
  readonly breaks?: true
  readonly app?: string
  readonly with?: Json
  readonly as?: string
}

/** One file. */
export interface Scenario {
  readonly name: string
  readonly head: Head
  readonly lines: readonly Line[]
}

const FOLDER = fileURLToPath(new URL('../../../../fixtures/protocol/', import.meta.url))

/** All files, in order of their names. */
export function scenarios(): readonly Scenario[] {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.jsonl'))
  return files.toSorted().map((file) => {
    const [head, ...lines] = readFileSync(FOLDER + file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    return { name: file.replace('.jsonl', ''), head: head as Head, lines: lines as readonly Line[] }
  })
}

/** A token that covers several events, as one frame a word. Other frames stay as they are. */
export function wordByWord(frame: Json): readonly Json[] {
  const { firstSeq, ...last } = frame
  if (frame['type'] !== 'token' || typeof firstSeq !== 'number') return [frame]
  const words = String(frame['token']).match(/[^ ]* |[^ ]+/g) ?? []
  return words.map((token, index) => ({ ...last, token, seq: firstSeq + index }))
}
