// Calls the application's callbacks so that one that throws can't break the stream.

/** Runs `callback`; what it throws goes to `onError`, and without one is thrown again outside of the stream. */
export function callSafely(callback: () => void, onError: ((error: unknown) => void) | undefined): void {
  try {
    callback()
  } catch (error) {
    if (onError === undefined) throwLater(error)
    else callSafely(() => onError(error), undefined)
  }
}

/** Throws where the platform reports uncaught errors, as an event handler's error would be. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
