import { join } from 'node:path'
import { AslError, isAslError } from '../../core/mod.ts'
import {
  type Download,
  type KnownResponse,
  type Method,
  type ResponseHead,
  type ResponseKey,
  responseKey,
} from './download.ts'
import type { Keeper } from './keeper.ts'
import type { Ledger } from './ledger.ts'
import { redactUrl } from './request-url.ts'
import { Spool } from './spool.ts'
import { type Arrival, type TransferContext, type TransferRequest, transfer } from './transfer.ts'

/** A response on its way from upstream, or arrived and waiting for the store. */
export interface Arriving {
  readonly kind: 'arriving'
  readonly spool: Spool
  readonly hasCredentials: boolean
  /** What the request asked for that fetches it. */
  readonly accept: string | undefined
  /** Fails when nothing could be fetched at all. */
  readonly arrival: Promise<Arrival>
  /** Settles when the whole body is there, or will never be. Does not fail. */
  readonly done: Promise<void>
}

export interface Stored {
  readonly kind: 'stored'
  readonly response: KnownResponse
  /** What to say in this run, where it is more than may be written down: a redirect to an address with a secret. */
  readonly liveHead?: ResponseHead
  /** The only `Accept` header it is an answer to, where upstream said that there are others. */
  readonly onlyAccept?: string
  readonly origin: Origin | undefined
}

/** Where a response came from in this run. */
type Origin = Pick<Extract<Arrival, { kind: 'kept' }>, 'upstreamUrl' | 'upstreamHeaders' | 'hops'>

export interface ResponsesOptions {
  readonly known: ReadonlyMap<ResponseKey, KnownResponse>
  readonly keeper: Keeper
  readonly ledger: Ledger
  readonly spoolFolder: string
  readonly transfer: Omit<TransferContext, 'progress'>
  readonly progress: (bytes: number, url: string) => void
}

export interface FetchRequest extends TransferRequest {
  /** As it is recorded. */
  readonly url: string
  readonly hasCredentials: boolean
}

/** Most responses of one step: each costs a record. */
const MAX_RESPONSES = 100_000

/**
 * All responses a step can be given: those known beforehand, those being fetched, those fetched. One method and URL is
 * one response for the whole run — asked again, the first answer is given again, just as a replay would.
 */
export class Responses {
  readonly #options: ResponsesOptions
  readonly #held = new Map<ResponseKey, Arriving | Stored>()
  /** What the step was given, in the order it asked. */
  readonly #used = new Set<ResponseKey>()
  readonly #redirectedFrom = new Map<string, string>()
  readonly #running = new Set<Promise<void>>()
  readonly #bugs: unknown[] = []
  #fetched = 0

  constructor(options: ResponsesOptions) {
    this.#options = options
    for (const [key, response] of options.known) this.#held.set(key, { kind: 'stored', response, origin: undefined })
  }

  /** A HEAD is answered by what is known of the GET, too. */
  tryGet(method: Method, url: string): Arriving | Stored | undefined {
    const held = this.#held.get(responseKey(method, url))
    return held ?? (method === 'HEAD' ? this.#held.get(responseKey('GET', url)) : undefined)
  }

  /** Notes that the step is given this response. */
  use(method: Method, url: string): void {
    const key = responseKey(method, url)
    this.#used.add(this.#held.has(key) ? key : responseKey('GET', url))
  }

  fetch(request: FetchRequest): Arriving {
    if (this.#fetched++ >= MAX_RESPONSES) {
      throw new AslError('NETWORK_REFUSED', `Refused ${request.url}: a step gets at most ${MAX_RESPONSES} responses`)
    }
    const { keeper } = this.#options
    const key = responseKey(request.method, request.url)
    const spool = new Spool(join(this.#options.spoolFolder, String(this.#fetched)), request.url)
    const arrival = Promise.withResolvers<Arrival>()
    arrival.promise.catch(() => {}) // whoever answers the request sees it; nobody may be left
    keeper.setBusy(true)
    const done = this.#run(request, key, spool, arrival).finally(() => {
      this.#running.delete(done)
      keeper.setBusy(this.#running.size > 0)
    })
    const arriving: Arriving = {
      kind: 'arriving',
      spool,
      hasCredentials: request.hasCredentials,
      accept: acceptOf(request),
      arrival: arrival.promise,
      done,
    }
    this.#running.add(done)
    this.#held.set(key, arriving)
    return arriving
  }

  async #run(
    request: FetchRequest,
    key: ResponseKey,
    spool: Spool,
    arrival: PromiseWithResolvers<Arrival>,
  ): Promise<void> {
    const { ledger, keeper, progress } = this.#options
    let arrived: Arrival | undefined
    // The entry is ours until a later request, with credentials, replaces it.
    const isCurrent = (): boolean => {
      const held = this.#held.get(key)
      return held?.kind === 'arriving' && held.spool === spool
    }
    try {
      const sha256 = await transfer(request, spool, {
        ...this.#options.transfer,
        progress: bytes => progress(bytes, request.url),
        onArrival: value => {
          arrived = value
          arrival.resolve(value)
        },
      })
      if (sha256 === undefined || arrived?.kind !== 'kept') {
        spool.discard()
        if (isCurrent()) this.#held.delete(key)
        return
      }
      ledger.succeed(request.url)
      const { head, hops, upstreamUrl, upstreamHeaders, variesByAccept } = arrived
      const variant = variesByAccept ? { onlyAccept: acceptOf(request) ?? '' } : {}
      this.#noteRedirect(request.url, head)
      keeper.add({
        path: spool.path,
        sizeBytes: spool.sizeBytes,
        onKept: ref => {
          const response = { ...redactLocation(head, request.url), ref, sizeBytes: spool.sizeBytes, sha256 }
          const origin = {
            hops,
            upstreamUrl,
            upstreamHeaders: redactLocation({ headers: upstreamHeaders }, upstreamUrl).headers,
          }
          if (isCurrent()) this.#held.set(key, { kind: 'stored', response, liveHead: head, origin, ...variant })
        },
      })
    } catch (error) {
      const failure = isAslError(error) ? error : new AslError('CAPTURE_FAILED', `Fetching ${request.url} broke`)
      if (!isAslError(error)) this.#bugs.push(error)
      if (isCurrent()) this.#held.delete(key)
      if (failure.code === 'INTERRUPTED') {
        if (arrived !== undefined) ledger.weaken('abandoned')
      } else if (failure.code === 'NETWORK_REFUSED') {
        ledger.refuse({ method: request.method, authority: request.upstream.host, reason: failure.message })
      } else ledger.fail(request.url, failure)
      spool.fail(failure)
      spool.discard()
      arrival.reject(failure)
    }
  }

  #noteRedirect(url: string, head: ResponseHead): void {
    const { location } = head.headers
    if (head.status < 300 || head.status > 399 || location === undefined || !URL.canParse(location, url)) return
    const target = redactUrl(new URL(location, url))
    if (!this.#redirectedFrom.has(target)) this.#redirectedFrom.set(target, url)
  }

  /** Waits for what is still on its way. @throws the first bug met while fetching */
  async settle(): Promise<void> {
    await Promise.all(this.#running)
    if (this.#bugs.length > 0) throw this.#bugs[0]
  }

  /** What the step was given and the store holds, in the order it asked. */
  downloads(): readonly Download[] {
    return [...this.#used].map(key => this.#tryDownload(key)).filter(download => download !== undefined)
  }

  tryDownload(method: Method, url: string): Download | undefined {
    return this.#tryDownload(responseKey(method, url))
  }

  #tryDownload(key: ResponseKey): Download | undefined {
    const held = this.#held.get(key)
    if (held?.kind !== 'stored') return undefined
    const space = key.indexOf(' ')
    const url = key.slice(space + 1)
    const { response, origin } = held
    return {
      ...response,
      method: key.slice(0, space) as Method,
      url,
      sha256: response.sha256,
      upstreamUrl: origin?.upstreamUrl,
      upstreamHeaders: origin?.upstreamHeaders ?? {},
      via: [...this.#via(url), ...(origin?.hops ?? [])],
    }
  }

  #via(url: string): string[] {
    const via: string[] = []
    for (let at = this.#redirectedFrom.get(url); at !== undefined && !via.includes(at) && via.length < 50; ) {
      via.unshift(at)
      at = this.#redirectedFrom.get(at)
    }
    return via
  }
}

/** A redirect to an address with a secret is written down without it. A replay asks for that same address. */
function redactLocation<H extends Pick<ResponseHead, 'headers'>>(head: H, base: string): H {
  const { location } = head.headers
  if (location === undefined || !URL.canParse(location, base)) return head
  const target = new URL(location, base)
  const redacted = redactUrl(target)
  return redacted === target.href ? head : { ...head, headers: { ...head.headers, location: redacted } }
}

function acceptOf({ headers }: Pick<FetchRequest, 'headers'>): string | undefined {
  return headers.accept?.toString()
}
