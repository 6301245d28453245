import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { AslError } from '../../core/mod.ts'
import { authorityOf, parseTarget } from './request-url.ts'

/** A request of the step, understood. */
export interface ProxyRequest {
  readonly method: string
  readonly url: URL
  /** What may be passed on: end-to-end headers, without conditions and ranges. */
  readonly headers: Readonly<Record<string, string | string[]>>
  /** It carried an Authorization header, a cookie, or a user in its URL. */
  readonly hasCredentials: boolean
}

/** RFC 9110 §7.6.1: meant for us, not for upstream. */
const HOP_BY_HOP = new Set([
  'connection',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'host',
  'http2-settings',
])

/** They would bring a part of the body, or none; whole bodies are recorded and the parts cut from those. */
const PARTIAL = new Set(['range', 'if-range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'])

/**
 * @param authority `host:port` of the CONNECT this came through, whose TLS was opened
 * @throws AslError REQUEST_INVALID
 */
export function parseProxyRequest(request: IncomingMessage, authority: string | undefined): ProxyRequest {
  const { method = 'GET', url: target = '' } = request
  const { url, authorization } = parseTarget(authority === undefined ? target : insideTls(request, target, authority))
  const headers = endToEndHeaders(request.headers)
  if (authorization !== undefined) headers.authorization ??= authorization
  const isReading = method === 'GET' || method === 'HEAD'
  if (isReading) {
    for (const name of PARTIAL) delete headers[name]
    headers['accept-encoding'] = 'identity'
    if (hasBody(request)) throw invalid(`${method} ${authorityOf(url)} carries a body`)
    delete headers['content-length']
  }
  return {
    method,
    url,
    headers,
    hasCredentials: headers.authorization !== undefined || headers.cookie !== undefined,
  }
}

function insideTls(request: IncomingMessage, target: string, authority: string): string {
  const absolute = target.startsWith('/') ? `https://${authority}${target}` : target
  const { host } = request.headers
  const named = host === undefined ? authority : withPort(host)
  if (
    named !== withPort(authority) ||
    !URL.canParse(absolute) ||
    withPort(new URL(absolute).host) !== withPort(authority)
  ) {
    throw invalid(`a request for ${named} came through a tunnel to ${authority}`)
  }
  return absolute
}

function withPort(host: string): string {
  return /:[0-9]+$/.test(host) ? host.toLowerCase() : `${host.toLowerCase()}:443`
}

function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers
  return length !== '0' || encoding !== undefined
}

/** Headers that are meant for the other end, and not for the next machine on the way. */
export function endToEndHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = new Set((headers.connection ?? '').toLowerCase().split(/\s*,\s*/))
  const kept: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !HOP_BY_HOP.has(name) && !named.has(name)) kept[name] = value
  }
  return kept
}

function invalid(reason: string): AslError {
  return new AslError('REQUEST_INVALID', `Cannot take the request: ${reason}`)
}
