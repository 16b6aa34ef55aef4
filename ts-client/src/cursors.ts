// How far each conversation's log has been read, so that nothing is shown twice and nothing is missed.

/** What a logged event is to the reader: the next one, one that it has, or one from beyond a gap. */
export type Place = 'next' | 'seen' | 'beyond'

/** The last `seq` of each conversation. */
export class Cursors {
  readonly #lastSeq = new Map<string, number>()
  /** The position whose successor was asked for again and didn't come: a hole in the log itself. */
  readonly #holes = new Map<string, number>()

  /** The last `seq` read, unless nothing was. */
  after(conversationId: string): number | undefined {
    return this.#lastSeq.get(conversationId)
  }

  /** Where an event that covers `first` to `last` stands. The first one of a conversation is always next. */
  place(conversationId: string, first: number, last: number): Place {
    const seen = this.#lastSeq.get(conversationId)
    if (seen === undefined) return 'next'
    if (last <= seen) return 'seen'
    if (first === seen + 1 || this.#holes.get(conversationId) === seen) return 'next'
    return 'beyond'
  }

  /** Notes that the log has been read to `last`. */
  advance(conversationId: string, last: number): void {
    this.#lastSeq.set(conversationId, last)
  }

  /** The conversations that are being read. */
  conversations(): readonly string[] {
    return [...this.#lastSeq.keys()]
  }

  /** Forgets a conversation that is read no more. */
  forget(conversationId: string): void {
    this.#lastSeq.delete(conversationId)
    this.#holes.delete(conversationId)
  }

  /**
   * Notes that the log is read again from here, by a new connection.
   *
   * `isAlone`: nothing else moves the server's reader, so that a gap which is still there is the log's own.
   */
  rereading(conversationId: string, isAlone: boolean): void {
    const seen = this.#lastSeq.get(conversationId)
    if (seen !== undefined && isAlone) this.#holes.set(conversationId, seen)
    else this.#holes.delete(conversationId)
  }
}
