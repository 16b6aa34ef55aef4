// Preloaded into the samples, which name port 8000: sends their connections to the port in SIDECAR_PORT.
import { Socket } from 'node:net'

const connect = Socket.prototype.connect
Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0]
  if (Number(options?.port) === 8000) options.port = Number(process.env.SIDECAR_PORT)
  return connect.apply(this, args)
}
