// Reads JSON whose shape is not trusted.

/** A JSON object whose fields are not known. */
export type JsonRecord = Readonly<Record<string, unknown>>

/** Returns whether `value` is an object (not null, not an array). */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Returns the first of `names` that holds a string, so that both spellings of a field can be read. */
export function stringIn(record: JsonRecord, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = record[name]
    if (typeof value === 'string') return value
  }
  return undefined
}

/** Returns the first of `names` that holds a whole number of at least 0. */
export function countIn(record: JsonRecord, ...names: readonly string[]): number | undefined {
  for (const name of names) {
    const value = record[name]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  }
  return undefined
}
