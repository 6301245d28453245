import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import { AslError, isAslError } from '../../core/mod.ts'
import type { CertificateAuthority } from './certificate-authority.ts'
import { intercept, refuseConnect } from './intercept.ts'
import type { Ledger } from './ledger.ts'
import type { NetworkPolicy } from './policy.ts'
import { parseAuthority } from './request-url.ts'
import { unreachable } from './transfer-errors.ts'
import { runTunnel } from './tunnel.ts'
import type { Upstream } from './upstream.ts'

export interface ConnectsOptions {
  readonly mode: 'record' | 'replay'
  readonly ledger: Ledger
  readonly policy: NetworkPolicy
  readonly upstream: Upstream
  readonly signal: AbortSignal
  readonly idleTimeoutMs: number
  authority(): CertificateAuthority
  /** Told of each socket that is opened, so that it can be closed in the end. */
  track(socket: Socket): void
}

export interface ConnectRequest {
  readonly front: HttpServer
  readonly client: Socket
  /** What the client sent behind its request. */
  readonly head: Buffer
  /** `host:port`, as the client wrote it. */
  readonly authority: string
}

/** The CONNECT requests of a step: TLS is opened and read, what is declared opaque is tunnelled, the rest refused. */
export class Connects {
  readonly #options: ConnectsOptions
  /** Opened TLS connections: where they lead, and whether a request has come yet. */
  readonly #opened = new WeakMap<Socket, { readonly authority: string; hasAsked: boolean }>()
  /** Requests until their TLS is opened, or their tunnel has ended. */
  readonly #running = new Set<Promise<void>>()

  constructor(options: ConnectsOptions) {
    this.#options = options
  }

  /** Where the opened TLS connection leads that a request has come through; `undefined` for any other connection. */
  tryAuthority(socket: Socket): string | undefined {
    const opened = this.#opened.get(socket)
    if (opened !== undefined) opened.hasAsked = true
    return opened?.authority
  }

  handle(request: ConnectRequest): Promise<void> {
    const running = this.#handle(request).finally(() => this.#running.delete(running))
    this.#running.add(running)
    return running
  }

  /** Waits for what still runs, once its sockets are closed. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#running)
  }

  async #handle({ front, client, head, authority }: ConnectRequest): Promise<void> {
    const { policy } = this.#options
    client.on('error', () => client.destroy())
    try {
      const { host, port } = parseAuthority(authority)
      if (this.tryAuthority(client) !== undefined) throw refused(authority, 'it came through another tunnel')
      if (policy.isOpaque?.(host, port) === true) {
        await this.#tunnel(host, port, client, head)
        return
      }
      const opened = await intercept(client, head, host, this.#options.authority())
      if ('refused' in opened) {
        this.#refuse(authority, `${opened.refused}. Declare ${authority} opaque to let it through unseen.`)
        return
      }
      this.#adopt(front, opened.socket, authority)
    } catch (error) {
      if (!isAslError(error)) throw error
      this.#refuse(authority, error.message)
      refuseConnect(client, error)
    }
  }

  /** Lets the server read the requests inside an opened TLS connection like all others. */
  #adopt(front: HttpServer, socket: Socket, authority: string): void {
    const opened = { authority, hasAsked: false }
    this.#opened.set(socket, opened)
    socket.on('close', () => {
      if (opened.hasAsked || this.#options.signal.aborted) return
      this.#refuse(
        authority,
        `the program took the certificate and asked nothing: it may pin its own. Declare ${authority} opaque.`,
      )
    })
    front.emit('connection', socket)
  }

  async #tunnel(host: string, port: number, client: Socket, head: Buffer): Promise<void> {
    const { mode, upstream, ledger, signal, idleTimeoutMs } = this.#options
    const authority = `${host}:${port}`
    if (mode === 'replay') throw refused(authority, 'a tunnel cannot be replayed')
    let remote: Socket
    try {
      remote = await upstream.tunnel(host, port, signal)
    } catch (error) {
      const url = new URL(`https://${authority}`)
      const failure = isAslError(error) ? error : unreachable(url, error)
      if (failure.code !== 'NETWORK_REFUSED') ledger.fail(url.href, failure)
      throw failure
    }
    this.#options.track(remote)
    if (client.destroyed) {
      remote.destroy()
      return
    }
    const traffic = await runTunnel(client, remote, head, idleTimeoutMs)
    ledger.passOpaque({ kind: 'tunnel', method: 'CONNECT', host, port, ...traffic })
  }

  #refuse(authority: string, reason: string): void {
    this.#options.ledger.refuse({ method: 'CONNECT', authority, reason })
  }
}

function refused(authority: string, reason: string): AslError {
  return new AslError('NETWORK_REFUSED', `Refused CONNECT ${authority}: ${reason}`)
}
