/**
 * A program of its own, started by {@link listenInNamespace} inside a network namespace: listens there, hands the
 * socket to its parent over the message channel and ends. A socket stays in the namespace it was made in.
 */
import { createServer } from 'node:net'
import { bringLoopbackUp } from './loopback.ts'
import type { ListenAnswer, ListenRequest } from './namespace-listener.ts'

process.once('message', (request: ListenRequest) => {
  try {
    bringLoopbackUp()
    listen(request)
  } catch (error) {
    answer({ error: String(error) })
  }
})

function listen(request: ListenRequest): void {
  const server = createServer()
  server.once('error', error => answer({ error: error.message }))
  server.listen({ host: request.address, port: request.port, backlog: 511 }, () => {
    // The socket lives on in the parent; an open copy here would go on accepting connections.
    process.send?.({ isListening: true } satisfies ListenAnswer, server, undefined, () => {
      server.close()
      process.disconnect()
    })
  })
}

function answer(message: ListenAnswer): void {
  process.send?.(message, undefined, undefined, () => process.disconnect())
}
