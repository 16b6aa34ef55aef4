// Calls the application's callbacks so that one that throws can't break the stream.

/**
 * Runs `callback`. What it throws goes to `onError`; without one, it is thrown again outside of the stream.
 */
export function callSafely(callback: () => void, onError: ((error: unknown) => void) | undefined): void {
  try {
    callback()
  } catch (error) {
    if (onError === undefined) throwLater(error)
    else callSafely(() => onError(error), undefined)
  }
}

/** Throws where the platform reports uncaught errors, as for an event handler. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
