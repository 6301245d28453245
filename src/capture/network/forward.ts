import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { endToEndHeaders, type ProxyRequest } from './proxy-request.ts'
import type { TunnelTraffic } from './tunnel.ts'
import type { Upstream } from './upstream.ts'

/**
 * Passes a declared request with its body on, and its response back, as they are. Nothing of it is kept: a request
 * that changes something elsewhere cannot be answered from a store.
 */
export async function forwardRequest(
  incoming: IncomingMessage,
  response: ServerResponse,
  request: ProxyRequest,
  target: { readonly upstream: URL; readonly isTrusted: boolean },
  options: { readonly upstream: Upstream; readonly signal: AbortSignal },
): Promise<TunnelTraffic> {
  let sentBytes = 0
  let receivedBytes = 0
  if (incoming.headers.expect !== undefined) response.writeContinue()
  incoming.on('data', (piece: Buffer) => {
    sentBytes += piece.length
  })
  const answer = await options.upstream.open({
    method: request.method,
    url: target.upstream,
    headers: request.headers,
    isTrusted: target.isTrusted,
    signal: options.signal,
    body: incoming,
  })
  answer.on('data', (piece: Buffer) => {
    receivedBytes += piece.length
  })
  response.sendDate = false
  response.writeHead(answer.statusCode ?? 502, endToEndHeaders(answer.headers))
  await pipeline(answer, response)
  return { sentBytes, receivedBytes }
}
