import { setMaxListeners } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'
import { AslError, isAslError } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { answerError, answerFromSpool, answerFromStore, answerInvalid, answerPassed } from './answer.ts'
import type { Download, KnownResponse, Method, ResponseKey } from './download.ts'
import { openFront } from './front.ts'
import { type KeepBodies, Keeper } from './keeper.ts'
import { Ledger } from './ledger.ts'
import { type Mirror, type MirrorMap, mirrorMap } from './mirror-map.ts'
import type { NetworkCompleteness, NetworkPolicy, OpaqueTraffic, Refusal } from './policy.ts'
import { type ProxyRequest, parseProxyRequest } from './proxy-request.ts'
import { authorityOf, redactUrl } from './request-url.ts'
import { type Arriving, Responses, type Stored } from './responses.ts'
import { Upstream } from './upstream.ts'
import type { UpstreamProxy } from './upstream-proxy.ts'

export interface RecorderOptions {
  /** `replay` answers from `known` alone and never looks further. */
  readonly mode: 'record' | 'replay'
  /** Where known bodies are read from. */
  readonly store: StoreReader
  /** How bodies get into the store: `keepIn(store)`, or the caller's own batch. */
  readonly keep: KeepBodies
  /** A private folder for bodies on their way is made in here; best on the file system of the store. */
  readonly spoolParent: string
  readonly mirrors?: readonly Mirror[]
  /** Responses served from the store without asking: replay, lock, resumed run. */
  readonly known?: ReadonlyMap<ResponseKey, KnownResponse>
  readonly policy?: NetworkPolicy
  /** The proxy of the build host, from its environment. */
  readonly upstreamProxy?: UpstreamProxy
  /** Certificates (PEM) of upstream servers, trusted besides the host's own. */
  readonly upstreamCa?: readonly string[]
  readonly signal?: AbortSignal
  /** Bytes that came from upstream just now, and the URL they belong to. */
  readonly progress?: (bytes: number, url: string) => void
  readonly limits?: Partial<RecorderLimits>
}

export interface RecorderLimits {
  /** How often a whole body is tried in all. */
  readonly attempts: number
  /** The pause before the second attempt; it doubles each time. */
  readonly backoffMs: number
  /** Longest silence of an upstream. */
  readonly idleTimeoutMs: number
  readonly maxBodyBytes: number
  /** Bodies go to the store when nothing has been fetched for this long… */
  readonly quietMs: number
  /** …and at the latest when so many bytes or files wait. */
  readonly batchBytes: number
  readonly batchFiles: number
}

const LIMITS: RecorderLimits = {
  attempts: 4,
  backoffMs: 500,
  idleTimeoutMs: 60_000,
  maxBodyBytes: 64 * 1024 ** 3,
  quietMs: 100,
  batchBytes: 256 * 1024 ** 2,
  batchFiles: 512,
}

/** What the network was to a step, for its receipt. */
export interface NetworkReport {
  /** The responses the step was given, in the order it asked. */
  readonly downloads: readonly Download[]
  readonly refusals: readonly Refusal[]
  readonly opaqueTraffic: readonly OpaqueTraffic[]
  /** NETWORK_UNREACHABLE, REPLAY_INPUT_MISSING, DIGEST_MISMATCH, DISK_FULL, …: what a user has to know. */
  readonly findings: readonly AslError[]
  readonly completeness: NetworkCompleteness
}

export interface Recorder {
  /** Serves the connections of a listening server, which now belongs to the recorder. */
  attach(listener: Server): void
  /** Waits until every body that has arrived is in the store. @throws what the store threw when it took them */
  settle(): Promise<void>
  /** How things stand; complete after `close`. */
  report(): NetworkReport
  /**
   * Ends everything that is still on its way, puts what was fetched into the store and removes the spool.
   * @throws what the store threw when it took the bodies
   */
  close(): Promise<NetworkReport>
}

/**
 * The only way out of a step's network namespace: an HTTP proxy that turns every response into an artifact.
 * @throws AslError CONFIG_INVALID for mirrors that are no URLs
 */
export function openRecorder(options: RecorderOptions): Recorder {
  return new NetworkRecorder(options)
}

class NetworkRecorder implements Recorder {
  readonly #options: RecorderOptions
  readonly #abort = new AbortController()
  readonly #ledger = new Ledger()
  readonly #mirrors: MirrorMap
  readonly #upstream: Upstream
  readonly #keeper: Keeper
  readonly #responses: Responses
  readonly #spoolFolder: string
  readonly #fronts = new Set<HttpServer>()
  readonly #sockets = new Set<Socket>()
  #closed: Promise<NetworkReport> | undefined

  constructor(options: RecorderOptions) {
    const limits = { ...LIMITS, ...options.limits }
    this.#options = options
    this.#mirrors = mirrorMap(options.mirrors ?? [])
    setMaxListeners(0, this.#abort.signal)
    this.#upstream = new Upstream({
      proxy: options.upstreamProxy ?? {},
      idleTimeoutMs: limits.idleTimeoutMs,
      extraCa: options.upstreamCa ?? [],
    })
    this.#keeper = new Keeper({
      keep: options.keep,
      quietMs: limits.quietMs,
      maxBytes: limits.batchBytes,
      maxFiles: limits.batchFiles,
    })
    mkdirSync(options.spoolParent, { recursive: true })
    this.#spoolFolder = mkdtempSync(join(options.spoolParent, 'spool-'))
    this.#responses = new Responses({
      store: options.store,
      known: options.known ?? new Map(),
      keeper: this.#keeper,
      ledger: this.#ledger,
      spoolFolder: this.#spoolFolder,
      transfer: { ...limits, upstream: this.#upstream, signal: this.#abort.signal },
      progress: options.progress ?? (() => {}),
    })
    options.signal?.addEventListener('abort', () => this.#abort.abort(), { once: true })
    if (options.signal?.aborted === true) this.#abort.abort()
  }

  attach(listener: Server): void {
    const front = openFront({
      onRequest: (request, response) => {
        this.#answer(request, response, undefined).catch(error => this.#failed(error, response))
      },
      onConnect: (_request, socket) => socket.destroy(),
      onGarbage: reason => this.#ledger.refuse({ method: '?', authority: '?', reason: `no HTTP request: ${reason}` }),
    })
    front.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    front.listen(listener)
    this.#fronts.add(front)
  }

  report(): NetworkReport {
    return {
      downloads: this.#responses.downloads(),
      refusals: this.#ledger.refusals(),
      opaqueTraffic: this.#ledger.opaqueTraffic(),
      findings: this.#ledger.findings(),
      completeness: this.#ledger.completeness(),
    }
  }

  settle(): Promise<void> {
    return this.#keeper.flush()
  }

  close(): Promise<NetworkReport> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<NetworkReport> {
    for (const front of this.#fronts) front.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#abort.abort()
    try {
      await this.#responses.settle()
      await this.#keeper.flush()
      return this.report()
    } finally {
      this.#upstream.close()
      rmSync(this.#spoolFolder, { recursive: true, force: true })
    }
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse, authority: string | undefined): Promise<void> {
    let request: ProxyRequest
    try {
      request = parseProxyRequest(incoming, authority)
    } catch (error) {
      if (!isAslError(error)) throw error
      this.#ledger.refuse({ method: incoming.method ?? '?', authority: authority ?? '?', reason: error.message })
      response.shouldKeepAlive = false
      answerInvalid(response, error)
      return
    }
    try {
      const target = this.#admit(request)
      const method = request.method as Method
      const url = redactUrl(request.url)
      const held = this.#find(method, url, request) ?? this.#responses.fetch({ ...target, ...request, method, url })
      await this.#serve(held, method, url, request, response)
    } catch (error) {
      if (!isAslError(error)) throw error
      if (error.code === 'NETWORK_REFUSED') {
        const refusal = { method: request.method, authority: authorityOf(request.url), reason: error.message }
        this.#ledger.refuse(refusal)
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') response.shouldKeepAlive = false
      answerError(response, error)
    }
  }

  /** Where a request may go. @throws AslError NETWORK_REFUSED */
  #admit({ method, url }: ProxyRequest): { readonly upstream: URL; readonly mirror: Mirror | undefined } {
    if (method !== 'GET' && method !== 'HEAD') {
      throw refused(
        `${method} ${authorityOf(url)}`,
        'only GET and HEAD are recorded',
        'Declare the request in the recipe.',
      )
    }
    const mapped = this.#mirrors.tryUpstream(url)
    if (mapped !== undefined) return mapped
    if (this.#options.policy?.allow?.(url) === false) {
      throw refused(`${method} ${authorityOf(url)}`, 'the step may not go there', 'Declare the host in the recipe.')
    }
    return { upstream: url, mirror: undefined }
  }

  /** @throws AslError REPLAY_INPUT_MISSING */
  #find(method: Method, url: string, request: ProxyRequest): Arriving | Stored | undefined {
    const held = this.#responses.tryGet(method, url)
    if (this.#options.mode === 'record') {
      // Who now shows credentials may get more than the refusal that was recorded without.
      const isRefusal = held?.kind === 'stored' && held.response.status >= 400 && request.hasCredentials
      return isRefusal ? undefined : held
    }
    if (held === undefined) {
      const error = new AslError('REPLAY_INPUT_MISSING', `Nothing was recorded for ${method} ${url}`, {
        hint: 'The record is older than the step, or partial: build it again with the network.',
        details: { method, url },
      })
      this.#ledger.find(error)
      throw error
    }
    return held
  }

  async #serve(
    held: Arriving | Stored,
    method: Method,
    url: string,
    request: ProxyRequest,
    response: ServerResponse,
  ): Promise<void> {
    if (held.kind === 'stored') {
      this.#responses.use(method, url)
      await answerFromStore(response, this.#options.store, held.response)
      return
    }
    const arrival = await held.arrival
    if (arrival.kind === 'passed') {
      this.#ledger.fail(url, passedOn(request.url, arrival.status))
      answerPassed(response, arrival)
      return
    }
    this.#responses.use(method, url)
    if (request.hasCredentials || url !== request.url.href) this.#ledger.weaken('credentials')
    // A part of a body, or its size alone, can be told only when the size is known.
    const wantsSize = method === 'HEAD' || response.req.headers.range !== undefined
    if (wantsSize && arrival.sizeBytes === undefined) await held.done
    await answerFromSpool(response, held.spool, arrival.head, arrival)
  }

  /** A bug or a broken store: the client's connection ends, and `close` throws. */
  #failed(error: unknown, response: ServerResponse): void {
    this.#ledger.find(
      isAslError(error) ? error : new AslError('CAPTURE_FAILED', 'The recorder broke', { cause: error }),
    )
    response.destroy()
  }
}

function refused(what: string, reason: string, hint: string): AslError {
  return new AslError('NETWORK_REFUSED', `Refused ${what}: ${reason}`, { hint })
}

function passedOn(url: URL, status: number): AslError {
  return new AslError('NETWORK_UNREACHABLE', `${authorityOf(url)} answers ${status} for ${redactUrl(url)}`, {
    hint: status === 401 ? 'It wants credentials.' : 'Try again later; what was fetched is kept.',
    details: { url: redactUrl(url), status },
  })
}
