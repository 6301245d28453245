import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { connect, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { getCACertificates } from 'node:tls'
import { guardedLookup, refuseMachineLocal } from './address.ts'
import { portOf } from './request-url.ts'
import { tryProxyFor, type UpstreamProxy } from './upstream-proxy.ts'

export interface UpstreamOptions {
  readonly proxy: UpstreamProxy
  /** Until a connection stands. */
  readonly connectTimeoutMs: number
  /** Longest silence of an upstream after that. */
  readonly idleTimeoutMs: number
  /** Certificates (PEM) trusted besides the runtime's and the host's own. */
  readonly extraCa: readonly string[]
  readonly mayBeLocal: (host: string, port: number) => boolean
}

export interface UpstreamRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string | string[]>>
  /** The operator named this place (a mirror): it may be this very machine. */
  readonly isTrusted: boolean
  readonly signal: AbortSignal
  readonly body?: Readable
}

/** Most bytes of response headers that are read. */
const MAX_HEADER_SIZE_BYTES = 32 * 1024
const MAX_SOCKETS_PER_HOST = 16

/** The way out: connections that are kept and reused, through the host's proxy where it has one. */
export class Upstream {
  readonly #options: UpstreamOptions
  readonly #agents = new Map<string, HttpAgent | HttpsAgent>()

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  /**
   * Sends one request and returns when the headers of its response are there.
   * @throws AslError NETWORK_REFUSED for a machine-local address; errors of the system and of the parser as they are
   */
  open(request: UpstreamRequest): Promise<IncomingMessage> {
    const { url, method, headers, signal, body } = request
    const proxy = tryProxyFor(url, this.#options.proxy)
    const mayBeLocal = request.isTrusted || this.#mayBeLocal(url)
    if (!mayBeLocal) refuseMachineLocal(url.hostname)
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'https:' ? requestHttps : requestHttp
      const sent: ClientRequest = send(url, {
        method,
        headers,
        signal,
        agent: this.#agent(url, proxy),
        timeout: this.#options.idleTimeoutMs,
        maxHeaderSize: MAX_HEADER_SIZE_BYTES,
        ...(mayBeLocal || proxy !== undefined ? {} : { lookup: guardedLookup }),
      })
      sent.on('socket', socket => limitConnecting(socket, this.#options.connectTimeoutMs))
      sent.on('timeout', () => {
        sent.destroy(errno('ETIMEDOUT', `nothing came for ${this.#options.idleTimeoutMs / 1000} s`))
      })
      sent.on('error', reject)
      sent.on('response', resolve)
      if (body === undefined) sent.end()
      else body.on('error', error => sent.destroy(error)).pipe(sent)
    })
  }

  /** A connection to a host for bytes that nobody looks into. */
  async tunnel(host: string, port: number, signal: AbortSignal): Promise<Socket> {
    const url = new URL(`https://${host}:${port}`)
    const proxy = tryProxyFor(url, this.#options.proxy)
    const mayBeLocal = this.#mayBeLocal(url)
    if (!mayBeLocal) refuseMachineLocal(url.hostname)
    const { connectTimeoutMs } = this.#options
    if (proxy !== undefined) return connectThrough(proxy, `${host}:${port}`, signal, connectTimeoutMs)
    return connectStraight({ url, port, signal, mayBeLocal, timeoutMs: connectTimeoutMs })
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
  }

  #mayBeLocal(url: URL): boolean {
    return this.#options.mayBeLocal(url.hostname, portOf(url))
  }

  #agent(url: URL, proxy: URL | undefined): HttpAgent | HttpsAgent {
    const key = `${url.protocol} ${proxy?.href ?? ''}`
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const options = {
      keepAlive: true,
      maxSockets: MAX_SOCKETS_PER_HOST,
      scheduling: 'lifo' as const,
      ...(proxy === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxy.href, HTTPS_PROXY: proxy.href } }),
    }
    const agent =
      url.protocol === 'https:'
        ? new HttpsAgent({ ...options, ca: trustedCertificates(this.#options.extraCa) })
        : new HttpAgent(options)
    this.#agents.set(key, agent)
    return agent
  }
}

/** What the runtime and the host trust: behind a proxy that opens TLS, the host knows that proxy's authority. */
function trustedCertificates(extra: readonly string[]): string[] {
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system'), ...extra])]
}

interface Straight {
  readonly url: URL
  readonly port: number
  readonly signal: AbortSignal
  readonly mayBeLocal: boolean
  readonly timeoutMs: number
}

function connectStraight({ url, port, signal, mayBeLocal, timeoutMs }: Straight): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const socket = connect({
      host,
      port,
      signal,
      allowHalfOpen: true,
      ...(mayBeLocal ? {} : { lookup: guardedLookup }),
    })
    limitConnecting(socket, timeoutMs)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

function connectThrough(proxy: URL, authority: string, signal: AbortSignal, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
    const sent = requestHttp({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port === '' ? 80 : Number(proxy.port),
      method: 'CONNECT',
      path: authority,
      signal,
      timeout: timeoutMs,
      agent: false,
      headers: {
        host: authority,
        ...(credentials === ':'
          ? {}
          : { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }),
      },
    })
    sent.on('timeout', () => sent.destroy(errno('ETIMEDOUT', 'the proxy does not answer')))
    sent.on('error', reject)
    sent.on('connect', (answer, socket, head) => {
      if (answer.statusCode !== 200) {
        socket.destroy()
        reject(errno('ECONNREFUSED', `the proxy answers ${answer.statusCode} to CONNECT`))
        return
      }
      if (head.length > 0) socket.unshift(head)
      resolve(socket as Socket)
    })
    sent.end()
  })
}

function limitConnecting(socket: Socket, timeoutMs: number): void {
  if (!socket.connecting) return
  const timer = setTimeout(() => {
    socket.destroy(errno('ETIMEDOUT', `no connection after ${timeoutMs / 1000} s`))
  }, timeoutMs)
  const stop = (): void => clearTimeout(timer)
  socket.once('connect', stop)
  socket.once('close', stop)
}

function errno(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
