/** A web server on loopback that a test shapes: pages, redirects, and every way to misbehave. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import type { SecureContext } from 'node:tls'

export type Page = string | Buffer | ((request: IncomingMessage, response: ServerResponse) => void)

export interface WebServer {
  /** `http://127.0.0.1:PORT`, or `https://localhost:PORT`. */
  readonly base: string
  readonly port: number
  /** `METHOD /path` of every request, in order. */
  readonly requests: readonly string[]
  readonly lastHeaders: IncomingMessage['headers']
  set(path: string, page: Page): void
  close(): Promise<void>
}

export interface WebServerOptions {
  /** Serves https for `localhost`, as this context says. */
  readonly secureContext?: SecureContext
  /** Asks clients for a certificate of their own, and takes none. */
  readonly isMutual?: boolean
}

export async function startWebServer(
  pages: Readonly<Record<string, Page>>,
  options: WebServerOptions = {},
): Promise<WebServer> {
  const table = new Map(Object.entries(pages))
  const requests: string[] = []
  const sockets = new Set<Socket>()
  let lastHeaders: IncomingMessage['headers'] = {}
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const url = request.url ?? '/'
    requests.push(`${request.method} ${url}`)
    lastHeaders = request.headers
    const page = table.get(url)
    if (typeof page === 'function') page(request, response)
    else if (page === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain' })
      response.end(`no ${url} here\n`)
    } else {
      response.setHeader('content-length', Buffer.byteLength(page))
      response.end(request.method === 'HEAD' ? undefined : page)
    }
  }
  const { secureContext, isMutual = false } = options
  const server =
    secureContext === undefined
      ? createServer(answer)
      : createTlsServer(
          {
            SNICallback: (_name, done) => done(null, secureContext),
            requestCert: isMutual,
            rejectUnauthorized: isMutual,
          },
          answer,
        )
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    base: secureContext === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    port,
    requests,
    get lastHeaders() {
      return lastHeaders
    },
    set: (path, page) => void table.set(path, page),
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}

/** A server that answers every connection with these bytes and hangs up: garbage, half a header, another protocol. */
export async function startRawServer(answer: string | Buffer): Promise<{ port: number; close(): Promise<void> }> {
  const server = createTcpServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(answer))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise(resolve => server.close(() => resolve())),
  }
}
