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
import { authorityOf, redactUrl } from './request-url.ts'
import type { Arriving, Responses, Stored } from './responses.ts'
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

interface Target {
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
    if (!isAslError(error)) throw error
    if (error.code === 'NETWORK_REFUSED') {
      const { method, url } = request
      context.ledger.refuse({ method, authority: authorityOf(url), reason: error.message })
    }
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
  const { responses, ledger, store } = context
  const { method } = request
  const target = admit(request.url, context)
  const url = redactUrl(request.url)
  const held = find(request, url, context) ?? responses.fetch({ ...target, ...request, url })
  if (held.kind === 'stored') {
    responses.use(method, url)
    await answerFromStore(response, store, held.response)
    return
  }
  const arrival = await held.arrival
  if (arrival.kind === 'passed') {
    ledger.fail(url, unreachable(request.url, `answers ${arrival.status}`))
    answerPassed(response, arrival)
    return
  }
  responses.use(method, url)
  if (request.hasCredentials || url !== request.url.href) ledger.weaken('credentials')
  // A part of a body, or its size alone, can be told only when the size is known.
  const wantsSize = method === 'HEAD' || response.req.headers.range !== undefined
  if (wantsSize && arrival.sizeBytes === undefined) await held.done
  await answerFromSpool(response, held.spool, arrival.head, arrival)
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
  if (context.mode === 'replay') throw missing(request.method, redactUrl(url), context)
  const { upstream, mirror } = admit(url, context)
  try {
    const target = { upstream, isTrusted: mirror !== undefined }
    const traffic = await forwardRequest(incoming, response, request, target, context)
    const port = Number(authorityOf(url).split(':').at(-1))
    context.ledger.passOpaque({ kind: 'request', method, host: url.hostname, port, ...traffic })
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
  return { upstream: url, mirror: undefined }
}

/** What there is already. @throws AslError REPLAY_INPUT_MISSING */
function find(request: Reading, url: string, context: ExchangeContext): Arriving | Stored | undefined {
  const held = context.responses.tryGet(request.method, url)
  if (context.mode === 'replay' && held === undefined) throw missing(request.method, url, context)
  // Who now shows credentials may get more than the refusal that was recorded without.
  const isOldRefusal = held?.kind === 'stored' && held.response.status >= 400 && request.hasCredentials
  return isOldRefusal && context.mode === 'record' ? undefined : held
}

function missing(method: string, url: string, { ledger }: ExchangeContext): AslError {
  const error = new AslError('REPLAY_INPUT_MISSING', `Nothing was recorded for ${method} ${url}`, {
    hint: 'The record is of another step, or partial: build it again with the network.',
    details: { method, url },
  })
  ledger.find(error)
  return error
}

function refused({ method, url }: ProxyRequest, reason: string, hint: string): AslError {
  return new AslError('NETWORK_REFUSED', `Refused ${method} ${authorityOf(url)}: ${reason}`, { hint })
}
