import type { IncomingMessage } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { AslError, isAslError, type Sha256 } from '../../core/mod.ts'
import { errnoOf } from '../../sys/mod.ts'
import { KEPT_HEADERS, type Method, type ResponseHead } from './download.ts'
import type { Mirror } from './mirror-map.ts'
import { redactUrl } from './request-url.ts'
import type { Spool } from './spool.ts'
import { redirectLoop, truncated, unexpectedStatus, unreachable } from './transfer-errors.ts'
import type { Upstream } from './upstream.ts'

export interface TransferRequest {
  readonly method: Method
  /** Where to ask, and the mirror it belongs to when the step asked for a logical URL. */
  readonly upstream: URL
  readonly mirror: Mirror | undefined
  /** What to ask with: hop-by-hop, conditional and range headers are gone already. */
  readonly headers: Readonly<Record<string, string | string[]>>
}

export interface TransferContext {
  readonly upstream: Upstream
  readonly attempts: number
  /** The pause before the second attempt; it doubles each time. */
  readonly backoffMs: number
  readonly maxBodyBytes: number
  readonly signal: AbortSignal
  readonly progress: (bytes: number) => void
}

/** The beginning of a response, once nothing about it can change any more. */
export type Arrival =
  | {
      /** A response that is recorded. */
      readonly kind: 'kept'
      readonly head: ResponseHead
      /** `undefined` when upstream does not say. */
      readonly sizeBytes: number | undefined
      readonly upstreamUrl: string
      readonly upstreamHeaders: Readonly<Record<string, string>>
      readonly hops: readonly string[]
      /** Upstream gives other content for another `Accept` header. */
      readonly variesByAccept: boolean
      /** Headers for the client that is waiting now, and never written down. */
      readonly unrecorded: Readonly<Record<string, string | string[]>>
    }
  | {
      /** An answer of the moment — overloaded, log in first — that is passed on and not recorded. */
      readonly kind: 'passed'
      readonly status: number
      readonly headers: Readonly<Record<string, string | string[]>>
      readonly body: Buffer
      readonly upstreamUrl: string
    }

/** Statuses that speak of the moment and not of the resource. They are tried again, and never recorded. */
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504])
/** Statuses that ask for credentials: passed on at once, never recorded. */
const CHALLENGE = new Set([401, 407])
const REDIRECT = new Set([301, 302, 303, 307, 308])
const MAX_HOPS = 10
/** Most that is read of a body that is not recorded. */
const SMALL_BODY_BYTES = 64 * 1024

/**
 * Fetches one whole body into the spool, with a bounded number of attempts. `onArrival` is called once, as soon as the
 * response is decided; clients read along from then on and notice nothing of a later attempt.
 * @returns the digest of the body, or `undefined` when the answer was passed on only
 * @throws AslError NETWORK_UNREACHABLE, NETWORK_REFUSED, DIGEST_MISMATCH, LIMIT_EXCEEDED, DISK_FULL, INTERRUPTED
 */
export async function transfer(
  request: TransferRequest,
  spool: Spool,
  { onArrival, ...context }: TransferContext & { readonly onArrival: (arrival: Arrival) => void },
): Promise<Sha256 | undefined> {
  let arrived: Extract<Arrival, { kind: 'kept' }> | undefined
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt >= context.attempts
    try {
      const { response, url, hops } = await openFollowing(request, context)
      const arrival = await readHead(request, response, url, hops)
      if (arrival.kind === 'passed') {
        if (arrived === undefined && (isLast || CHALLENGE.has(arrival.status))) {
          onArrival(arrival)
          return undefined
        }
        throw unreachable(url, `answers ${arrival.status}`, { isTransient: true })
      }
      if (arrived === undefined) {
        arrived = arrival
        onArrival(arrival)
      } else if (!isSameResponse(arrived, arrival)) {
        throw changedResponse(request, arrived, arrival)
      }
      await receive(request, response, url, spool, context)
      return spool.complete()
    } catch (error) {
      if (context.signal.aborted)
        throw new AslError('INTERRUPTED', `Stopped while fetching ${redactUrl(request.upstream)}`)
      if (!isAslError(error) && errnoOf(error) === undefined) throw error // a bug, not the network
      const typed = isAslError(error) ? error : unreachable(request.upstream, error)
      if (isLast || typed.details?.isTransient !== true) throw typed
    }
    spool.restart()
    await wait(context.backoffMs * 2 ** (attempt - 1), undefined, { signal: context.signal }).catch(() => {})
  }
}

/**
 * Asks upstream. Redirects of a mirror are followed here: where a mirror sends its readers is no business of the
 * step's, whose receipt has to come out the same behind any other mirror. All others are for the step itself to follow.
 */
async function openFollowing(
  request: TransferRequest,
  { upstream, signal }: TransferContext,
): Promise<{ response: IncomingMessage; url: URL; hops: string[] }> {
  const hops: string[] = []
  let url = request.upstream
  let headers = request.headers
  for (;;) {
    const isTrusted = request.mirror !== undefined && url.host === request.upstream.host
    const response = await upstream.open({ method: request.method, url, headers, isTrusted, signal })
    const { location } = response.headers
    if (request.mirror === undefined || !REDIRECT.has(response.statusCode ?? 0) || location === undefined) {
      return { response, url, hops }
    }
    await readSmall(response)
    hops.push(redactUrl(url))
    if (hops.length > MAX_HOPS) throw redirectLoop(request.upstream, hops)
    if (!URL.canParse(location, url.href)) throw unreachable(url, 'redirects to something that is no URL')
    const next = new URL(location, url)
    if (next.protocol !== 'http:' && next.protocol !== 'https:') throw unreachable(url, `redirects to ${next.protocol}`)
    if (next.host !== url.host) {
      const { authorization: _1, cookie: _2, ...rest } = headers
      headers = rest
    }
    url = next
  }
}

async function readHead(
  request: TransferRequest,
  response: IncomingMessage,
  url: URL,
  hops: readonly string[],
): Promise<Arrival> {
  const status = response.statusCode ?? 0
  const upstreamUrl = redactUrl(url)
  if (TRANSIENT.has(status) || CHALLENGE.has(status)) {
    const names = ['content-type', 'www-authenticate', 'retry-after']
    return { kind: 'passed', status, headers: pick(response, names), body: await readSmall(response), upstreamUrl }
  }
  if (status < 200 || status === 206 || status === 304 || status > 599) {
    response.destroy()
    throw unexpectedStatus(url, status)
  }
  const isMirrored = request.mirror !== undefined
  const kept = singles(pick(response, KEPT_HEADERS))
  const shown = isMirrored ? singles(pick(response, ['content-encoding', ...(request.mirror?.headers ?? [])])) : kept
  const length = response.headers['content-length']
  const sizeBytes = length === undefined ? undefined : Number(length)
  const isHead = request.method === 'HEAD'
  return {
    kind: 'kept',
    head: { status, headers: isHead && length !== undefined ? { ...shown, 'content-length': length } : shown },
    // Behind a mirror an error page is the mirror's own: the step is told the status, and no more.
    sizeBytes: isHead || (isMirrored && status >= 400) ? 0 : sizeBytes,
    upstreamUrl,
    upstreamHeaders: kept,
    hops,
    variesByAccept: /(^|,)\s*(accept|\*)\s*(,|$)/i.test(response.headers.vary ?? ''),
    unrecorded: pick(response, ['set-cookie']),
  }
}

function receive(
  request: TransferRequest,
  response: IncomingMessage,
  url: URL,
  spool: Spool,
  context: TransferContext,
): Promise<void> {
  const isDropped = request.mirror !== undefined && (response.statusCode ?? 0) >= 400
  if (isDropped) return readSmall(response).then(() => {})
  return new Promise((resolve, reject) => {
    let receivedBytes = 0
    const fail = (error: unknown): void => {
      reject(error)
      response.destroy()
    }
    response.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length
      try {
        if (receivedBytes > context.maxBodyBytes) throw tooLarge(url, context.maxBodyBytes)
        spool.append(chunk)
        context.progress(chunk.length)
      } catch (error) {
        fail(error)
      }
    })
    response.on('end', () => (response.complete ? resolve() : fail(truncated(url, receivedBytes, response))))
    response.on('error', () => fail(truncated(url, receivedBytes, response)))
    response.on('close', () => reject(truncated(url, receivedBytes, response)))
  })
}

/** Reads the beginning of a body that nobody keeps; the connection survives when there was no more. */
async function readSmall(response: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  let sizeBytes = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    pieces.push(piece)
    sizeBytes += piece.length
    if (sizeBytes >= SMALL_BODY_BYTES) break // which destroys the response
  }
  return Buffer.concat(pieces).subarray(0, SMALL_BODY_BYTES)
}

function pick(response: IncomingMessage, names: readonly string[]): Record<string, string | string[]> {
  return Object.fromEntries(
    names.flatMap(name => {
      const value = response.headers[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function singles(headers: Record<string, string | string[]>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : value.join(', ')]),
  )
}

type KeptArrival = Extract<Arrival, { kind: 'kept' }>

function isSameResponse(first: KeptArrival, second: KeptArrival): boolean {
  return first.head.status === second.head.status && first.sizeBytes === second.sizeBytes
}

function changedResponse(request: TransferRequest, first: KeptArrival, second: KeptArrival): AslError {
  const shown = ({ head, sizeBytes }: KeptArrival): string => `${head.status} with ${sizeBytes ?? 'unknown'} bytes`
  return new AslError(
    'DIGEST_MISMATCH',
    `${redactUrl(request.upstream)} gave two different bodies in one run: ${shown(first)}, then ${shown(second)}`,
    { hint: 'One URL is one input. Ask for an address whose content does not change while the step runs.' },
  )
}

function tooLarge(url: URL, maxBodyBytes: number): AslError {
  return new AslError('LIMIT_EXCEEDED', `${redactUrl(url)} sends more than ${maxBodyBytes} bytes`)
}
