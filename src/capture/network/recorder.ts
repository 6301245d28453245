import { setMaxListeners } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'
import type { AslError } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { writeFileAtomic } from '../../sys/mod.ts'
import { type CertificateAuthority, createCertificateAuthority } from './certificate-authority.ts'
import { Connects } from './connects.ts'
import type { Download, KnownResponse, ResponseKey } from './download.ts'
import { answerRequest, type ExchangeContext, fetchForStep } from './exchange.ts'
import { openFront } from './front.ts'
import { type KeepBodies, Keeper } from './keeper.ts'
import { Ledger } from './ledger.ts'
import { type Mirror, mirrorMap } from './mirror-map.ts'
import type { NetworkCompleteness, NetworkPolicy, OpaqueTraffic, Refusal } from './policy.ts'
import { Responses } from './responses.ts'
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
  /** Until a connection to an upstream stands. Programs give up on their proxy after 30 s or so. */
  readonly connectTimeoutMs: number
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
  connectTimeoutMs: 10_000,
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
  /** The certificate (PEM) that the sandbox has to trust for https. Another one in every run, and no input. */
  certificate(): string
  /** A file with that certificate, there until `close`. */
  certificateFile(): string
  /** Serves the connections of a listening server, which now belongs to the recorder. */
  attach(listener: Server): void
  /**
   * Asks as a program of the step would, in this process, following redirects; for steps that run no program. When it
   * returns, the body is in the store. `undefined` when the answer is that there is no such thing (404, 410).
   * @throws AslError NETWORK_UNREACHABLE, NETWORK_REFUSED, REPLAY_INPUT_MISSING, DIGEST_MISMATCH
   */
  fetch(url: string): Promise<Download | undefined>
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
  readonly #abort = new AbortController()
  readonly #ledger = new Ledger()
  readonly #upstream: Upstream
  readonly #keeper: Keeper
  readonly #responses: Responses
  readonly #exchange: ExchangeContext
  readonly #spoolFolder: string
  readonly #fronts = new Set<HttpServer>()
  readonly #sockets = new Set<Socket>()
  readonly #connects: Connects
  readonly #bugs: unknown[] = []
  #authority: CertificateAuthority | undefined
  #closed: Promise<NetworkReport> | undefined

  constructor(options: RecorderOptions) {
    const limits = { ...LIMITS, ...options.limits }
    const mirrors = mirrorMap(options.mirrors ?? [])
    setMaxListeners(0, this.#abort.signal)
    this.#upstream = new Upstream({
      proxy: options.upstreamProxy ?? {},
      connectTimeoutMs: limits.connectTimeoutMs,
      idleTimeoutMs: limits.idleTimeoutMs,
      extraCa: options.upstreamCa ?? [],
      mayBeLocal: options.policy?.mayBeLocal ?? (() => false),
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
      known: options.known ?? new Map(),
      keeper: this.#keeper,
      ledger: this.#ledger,
      spoolFolder: this.#spoolFolder,
      transfer: { ...limits, upstream: this.#upstream, signal: this.#abort.signal },
      progress: options.progress ?? (() => {}),
    })
    this.#exchange = {
      mode: options.mode,
      store: options.store,
      responses: this.#responses,
      ledger: this.#ledger,
      mirrors,
      policy: options.policy ?? {},
      upstream: this.#upstream,
      signal: this.#abort.signal,
    }
    this.#connects = new Connects({
      ...this.#exchange,
      idleTimeoutMs: limits.idleTimeoutMs,
      authority: () => this.#certificateAuthority(),
      track: socket => this.#track(socket),
    })
    options.signal?.addEventListener('abort', () => this.#abort.abort(), { once: true })
    if (options.signal?.aborted === true) this.#abort.abort()
  }

  certificate(): string {
    return this.#certificateAuthority().pem
  }

  certificateFile(): string {
    const path = join(this.#spoolFolder, 'ca.pem')
    writeFileAtomic(path, this.certificate())
    return path
  }

  attach(listener: Server): void {
    const front = openFront({
      onRequest: (request, response) => this.#onRequest(request, response),
      onConnect: (request, socket, head) => {
        const client = socket as Socket
        this.#connects
          .handle({ front, client, head, authority: request.url ?? '' })
          .catch(error => this.#broke(error, client))
      },
      onGarbage: reason => this.#ledger.refuse({ method: '?', authority: '?', reason: `no HTTP request: ${reason}` }),
    })
    front.on('connection', (socket: Socket) => this.#track(socket))
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

  async fetch(url: string): Promise<Download | undefined> {
    const found = await fetchForStep(url, this.#exchange)
    if (found === undefined) return undefined
    await this.#keeper.flush()
    return this.#responses.tryDownload('GET', found)
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
      await this.#connects.settle()
      await this.#keeper.flush()
      if (this.#bugs.length > 0) throw this.#bugs[0]
      return this.report()
    } finally {
      this.#upstream.close()
      rmSync(this.#spoolFolder, { recursive: true, force: true })
    }
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const authority = this.#connects.tryAuthority(request.socket)
    answerRequest(request, response, authority, this.#exchange).catch(error => this.#broke(error, response))
  }

  #certificateAuthority(): CertificateAuthority {
    this.#authority ??= createCertificateAuthority()
    return this.#authority
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
  }

  /** A bug or a broken store: this connection ends now, and `close` throws. */
  #broke(error: unknown, connection: Socket | ServerResponse): void {
    this.#bugs.push(error)
    connection.destroy()
  }
}
