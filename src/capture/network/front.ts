import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** What a client may send before it is cut off. It is hostile until proven slow. */
const MAX_HEADER_SIZE_BYTES = 32 * 1024
const HEADERS_TIMEOUT_MS = 30_000
const REQUEST_TIMEOUT_MS = 300_000
const KEEP_ALIVE_TIMEOUT_MS = 60_000
const MAX_CONNECTIONS = 512

export interface FrontHandlers {
  onRequest(request: IncomingMessage, response: ServerResponse): void
  onConnect(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Bytes that are no HTTP request: another protocol, headers without end. */
  onGarbage(reason: string): void
}

/**
 * The side that faces the step: parses requests, one connection at a time, in order (pipelining and keep-alive are
 * the server's), with bounds on all of it.
 */
export function openFront(handlers: FrontHandlers): Server {
  const server = createServer({
    maxHeaderSize: MAX_HEADER_SIZE_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requireHostHeader: false, // an absolute target says it all; apt of old sends none
  })
  server.maxConnections = MAX_CONNECTIONS
  /** Connections with the number of responses they still wait for. */
  const open = new WeakMap<object, number>()
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request
    open.set(socket, (open.get(socket) ?? 0) + 1)
    response.once('close', () => open.set(socket, (open.get(socket) ?? 1) - 1))
    handlers.onRequest(request, response)
  }
  server.on('request', onRequest)
  // Whoever waits for leave to send a body is answered at once.
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('connect', handlers.onConnect)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (socket.writableEnded) return // it goes on sending what was refused already
    if (error.code !== 'ECONNRESET') handlers.onGarbage(error.code ?? error.message)
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
    const body = 'asl: this is an HTTP proxy; what came is no request it can take\n'
    // In the middle of another response these words would pass for a part of its body.
    if (!socket.writable || (open.get(socket) ?? 0) > 0) socket.destroy()
    else socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  })
  return server
}
