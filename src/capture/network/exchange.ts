import type { IncomingMessage, ServerResponse } from 'node:http'
import { AslError, isAslError } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { answerError, answerFromSpool, answerFromStore, answerInvalid, answerPassed } from './answer.ts'
import type { Method } from './download.ts'
import { forwardRequest } from './forward.ts'
import type { Ledger } from './ledger.ts'
import type { Mirror, MirrorMap } from './mirror-map.ts'
import type { NetworkPolicy } from './policy.ts'
import { type ProxyRequest, parseProxyRequest } from './proxy-request.ts'
import { authorityOf, isRedacted, parseTarget, portOf, redactUrl } from './request-url.ts'
import type { Arriving, Responses, Stored } from './responses.ts'
import type { Arrival } from './transfer.ts'
import { unreachable } from './transfer-errors.ts'
import type { Upstream } from './upstream.ts'

export interface ExchangeContext {
  readonly mode: 'record' | 'replay'
  readonly store: StoreReader
  readonly responses: Responses
  readonly ledger: Ledger
  readonly mirrors: MirrorMap
  readonly policy: NetworkPolicy
  readonly upstream: Upstream
  readonly signal: AbortSignal
}

/** Failures that are the network's or the step's own. All others, as of the store, end the run. */
const TOLD_TO_THE_STEP = [
  'NETWORK_REFUSED',
  'NETWORK_UNREACHABLE',
  'REPLAY_INPUT_MISSING',
  'DIGEST_MISMATCH',
  'LIMIT_EXCEEDED',
  'DISK_FULL',
  'INTERRUPTED',
] as const

interface Target {
  /** As it is recorded, but for secrets. */
  readonly url: URL
  readonly upstream: URL
  readonly mirror: Mirror | undefined
}

/**
 * Answers one request of the step, whatever comes of it.
 * @param authority `host:port` of the CONNECT it came through
 * @throws what is no fault of step or network: a broken store, a bug
 */
export async function answerRequest(
  incoming: IncomingMessage,
  response: ServerResponse,
  authority: string | undefined,
  context: ExchangeContext,
): Promise<void> {
  let request: ProxyRequest
  try {
    request = parseProxyRequest(incoming, authority)
  } catch (error) {
    if (!isAslError(error)) throw error
    context.ledger.refuse({ method: incoming.method ?? '?', authority: authority ?? '?', reason: error.message })
    response.shouldKeepAlive = false
    answerInvalid(response, error)
    return
  }
  try {
    if (isReading(request)) await answerReading(request, response, context)
    else await answerOther(request, incoming, response, context)
  } catch (error) {
    if (!isAslError(error, ...TOLD_TO_THE_STEP)) throw error
    if (error.code === 'NETWORK_REFUSED') {
      const { method, url } = request
      context.ledger.refuse({ method, authority: authorityOf(url), reason: error.message })
    } else if (error.code !== 'INTERRUPTED') context.ledger.find(error)
    // An unread body would be taken for the next request.
    if (!isReading(request)) response.shouldKeepAlive = false
    answerError(response, error)
  }
}

type Reading = ProxyRequest & { readonly method: Method }

function isReading(request: ProxyRequest): request is Reading {
  return request.method === 'GET' || request.method === 'HEAD'
}

async function answerReading(request: Reading, response: ServerResponse, context: ExchangeContext): Promise<void> {
  const { ledger, store } = context
  const { held, arrival, release } = await obtain(request, context)
  try {
    if (held.kind === 'stored') {
      await answerFromStore(response, store, { ...held.response, ...held.liveHead })
      return
    }
    if (arrival === undefined) return
    if (arrival.kind === 'passed') {
      answerPassed(response, arrival)
      return
    }
    if (request.hasCredentials || isRedacted(request.url)) ledger.weaken('credentials')
    // A part of a body, or its size alone, can be told only when the size is known.
    const wantsSize = request.method === 'HEAD' || response.req.headers.range !== undefined
    if (wantsSize && arrival.sizeBytes === undefined) await held.done
    await answerFromSpool(response, held.spool, arrival.head, arrival)
  } finally {
    release()
  }
}

const MAX_REDIRECTS = 10

/**
 * Asks as a program of the step would, and follows redirects, each of which is a response of its own.
 * @returns the URL of the response that the store will hold; `undefined` when there is no such thing (404, 410)
 */
export async function fetchForStep(text: string, context: ExchangeContext): Promise<string | undefined> {
  let target = parseTarget(text).url
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const headers = { 'accept-encoding': 'identity', 'user-agent': 'asl' }
    const request: Reading = { method: 'GET', url: target, headers, hasCredentials: false }
    const { url, held, arrival, release } = await obtain(request, context)
    release()
    if (arrival?.kind === 'passed') throw unreachable(target, `answers ${arrival.status}`)
    if (held.kind === 'arriving') {
      await held.done
      if (held.spool.state.kind === 'failed') throw held.spool.state.error
    }
    const head = held.kind === 'stored' ? { ...held.response, ...held.liveHead } : arrival?.head
    const { location } = head?.headers ?? {}
    if (head === undefined || head.status === 404 || head.status === 410) return undefined
    if (head.status === 200) return url
    if (head.status < 300 || head.status > 399 || location === undefined || !URL.canParse(location, target.href)) {
      throw unreachable(target, `answers ${head.status}`)
    }
    target = parseTarget(new URL(location, target).href).url
  }
  throw unreachable(target, `is reached after more than ${MAX_REDIRECTS} redirects`)
}

interface Obtained {
  /** As it is recorded. */
  readonly url: string
  readonly held: Arriving | Stored
  /** Of a response that is arriving. */
  readonly arrival: Arrival | undefined
  /** To be called when the spool of a response that was arriving is no longer read. */
  readonly release: () => void
}

/** What there is, or what is fetched now. From here on it is something the step was given. */
async function obtain(request: Reading, context: ExchangeContext): Promise<Obtained> {
  const { responses, ledger } = context
  const target = admit(request.url, context)
  const url = redactUrl(target.url)
  const held = find(request, url, context) ?? responses.fetch({ ...request, ...target, url })
  if (held.kind === 'stored') {
    responses.use(request.method, url)
    return { url, held, arrival: undefined, release: () => {} }
  }
  const release = held.spool.retain()
  try {
    const arrival = await held.arrival
    if (arrival.kind === 'kept' && arrival.variesByAccept) checkAccept(request, url, held.accept ?? '')
    if (arrival.kind === 'passed') ledger.fail(url, unreachable(request.url, `answers ${arrival.status}`))
    else responses.use(request.method, url)
    return { url, held, arrival, release }
  } catch (error) {
    release()
    throw error
  }
}

async function answerOther(
  request: ProxyRequest,
  incoming: IncomingMessage,
  response: ServerResponse,
  context: ExchangeContext,
): Promise<void> {
  const { method, url } = request
  if (context.policy.isForwarded?.(method, url) !== true) {
    throw refused(request, 'only GET and HEAD are recorded', 'Declare the request in the recipe if the step needs it.')
  }
  if (context.mode === 'replay') throw missing(request.method, redactUrl(url))
  const { upstream, mirror } = admit(url, context)
  try {
    const target = { upstream, isTrusted: mirror !== undefined }
    const traffic = await forwardRequest(incoming, response, request, target, context)
    context.ledger.passOpaque({ kind: 'request', method, host: url.hostname, port: portOf(url), ...traffic })
  } catch (error) {
    const failure = isAslError(error) ? error : unreachable(url, error)
    if (failure.code !== 'NETWORK_REFUSED') context.ledger.fail(redactUrl(url), failure)
    throw failure
  }
}

/** Where a request goes. @throws AslError NETWORK_REFUSED */
function admit(url: URL, { mirrors, policy }: ExchangeContext): Target {
  const mapped = mirrors.tryUpstream(url)
  if (mapped !== undefined) return mapped
  if (policy.allow?.(url) === false) {
    throw new AslError('NETWORK_REFUSED', `Refused ${authorityOf(url)}: the step may not go there`, {
      hint: 'Declare the host in the recipe if the step needs it.',
    })
  }
  return { url, upstream: url, mirror: undefined }
}

/** What there is already, if it answers this request. @throws AslError REPLAY_INPUT_MISSING, DIGEST_MISMATCH */
function find(request: Reading, url: string, context: ExchangeContext): Arriving | Stored | undefined {
  const held = context.responses.tryGet(request.method, url)
  const isLost = held?.kind === 'stored' && !context.store.has(held.response.ref)
  if (context.mode === 'replay') {
    if (held === undefined || isLost) throw missing(request.method, url)
    return held
  }
  if (held === undefined || isLost) return undefined
  // Who shows credentials may get more than was given without.
  if (request.hasCredentials && isWithout(held)) return undefined
  if (held.kind === 'stored' && held.onlyAccept !== undefined) checkAccept(request, url, held.onlyAccept)
  return held
}

function isWithout(held: Arriving | Stored): boolean {
  return held.kind === 'arriving' ? !held.hasCredentials : held.response.status >= 400
}

/** One URL is one input, and a replay knows no other: a second representation must not be taken for the first. */
function checkAccept({ headers }: Reading, url: string, only: string): void {
  const { accept = '' } = headers
  if (accept.toString() === only) return
  throw new AslError('DIGEST_MISMATCH', `${url} gives another body for "Accept: ${accept}" than for "${only}" before`, {
    hint: 'One URL is one input. Ask for it in one form within a step.',
    details: { url },
  })
}

function missing(method: string, url: string): AslError {
  return new AslError('REPLAY_INPUT_MISSING', `Nothing was recorded for ${method} ${url}`, {
    hint: 'The record is of another step, or partial: build it again with the network.',
    details: { method, url },
  })
}

function refused({ method, url }: ProxyRequest, reason: string, hint: string): AslError {
  return new AslError('NETWORK_REFUSED', `Refused ${method} ${authorityOf(url)}: ${reason}`, { hint })
}
