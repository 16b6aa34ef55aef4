// Tracks how far each conversation's log has been read, so that no event is shown twice and none is missed.

/** How a logged event relates to what was read: it is the next one, was read before, or follows a gap. */
export type Arrival = 'next' | 'duplicate' | 'gap'

/** The last `seq` of each conversation. */
export class Cursors {
  readonly #lastSeq = new Map<string, number>()
  /** The `seq` whose successor was requested again and didn't come: the log itself has a gap there. */
  readonly #knownGaps = new Map<string, number>()

  /** Returns the last `seq` read, or `undefined` if nothing was. */
  after(conversationId: string): number | undefined {
    return this.#lastSeq.get(conversationId)
  }

  /** Classifies an event that covers `first` to `last`. A conversation's first event is always `next`. */
  classify(conversationId: string, first: number, last: number): Arrival {
    const seen = this.#lastSeq.get(conversationId)
    if (seen === undefined) return 'next'
    if (last <= seen) return 'duplicate'
    if (first === seen + 1 || this.#knownGaps.get(conversationId) === seen) return 'next'
    return 'gap'
  }

  /** Records that the log has been read to `last`. */
  advance(conversationId: string, last: number): void {
    this.#lastSeq.set(conversationId, last)
  }

  /** Returns the conversations that are being read. */
  conversations(): readonly string[] {
    return [...this.#lastSeq.keys()]
  }

  /** Forgets a conversation that is no longer read. */
  forget(conversationId: string): void {
    this.#lastSeq.delete(conversationId)
    this.#knownGaps.delete(conversationId)
  }

  /**
   * Records that a new connection reads the log again from here.
   *
   * With `isOnlyReader`, nothing else moves the server's reader, so a gap that is still there is the log's
   * own.
   */
  noteReread(conversationId: string, isOnlyReader: boolean): void {
    const seen = this.#lastSeq.get(conversationId)
    if (seen !== undefined && isOnlyReader) this.#knownGaps.set(conversationId, seen)
    else this.#knownGaps.delete(conversationId)
  }
}
