import { AslError, decodeReceipt, FINGERPRINT, LOG_KINDS, type Reference } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import { showText } from './byte-path.ts'
import type { Graph } from './graph.ts'

/** When, where and how well observed a step ran: from its run half, which is never inside an image. */
export interface RunView {
  readonly ref: Reference
  /** RFC 3339, UTC. */
  readonly startedAt: string
  readonly wallMs?: number
  readonly host?: string
  /** The name that the builder gave the step. */
  readonly step?: string
  /** What observed it, and whether that was complete. */
  readonly observer?: string
}

export function runViews(store: StoreReader, graph: Graph): (receipt: Reference) => readonly RunView[] {
  const known = new Map<Reference, readonly RunView[]>()
  return receipt => {
    const views = known.get(receipt) ?? graph.runsOf(receipt).map(ref => runView(store, ref))
    known.set(receipt, views)
    return views
  }
}

function runView(store: StoreReader, ref: Reference): RunView {
  const { startedAt, run } = decodeReceipt(store.read(ref))
  const fingerprintRef = run?.fingerprintRef
  const host =
    fingerprintRef !== undefined && store.has(fingerprintRef)
      ? FINGERPRINT.decode(store.read(fingerprintRef)).host
      : undefined
  const details = detailsOf(store, run?.logs?.find(log => log.kind === LOG_KINDS['run-details'])?.ref)
  const { step, trace } = details
  return {
    ref,
    startedAt: new Date(startedAt * 1000).toISOString(),
    ...(run?.limits === undefined ? {} : { wallMs: run.limits.wallMs }),
    ...(host === undefined ? {} : { host: showText(host) }),
    ...(typeof step === 'string' ? { step: showText(step) } : {}),
    ...(isRecord(trace) && typeof trace.observer === 'string' ? { observer: observerText(trace) } : {}),
  }
}

function observerText(trace: Readonly<Record<string, unknown>>): string {
  const partial = ['inputs', 'outputs', 'network', 'environment'].filter(part => trace[part] === 'partial')
  return showText(`${trace.observer}, ${partial.length === 0 ? 'complete' : `${partial.join(' and ')} partial`}`)
}

const MAX_DETAILS_BYTES = 16 * 1024 * 1024

function detailsOf(store: StoreReader, ref: Reference | undefined): Readonly<Record<string, unknown>> {
  if (ref === undefined || !store.has(ref)) return {}
  let value: unknown
  try {
    value = JSON.parse(store.read(ref, MAX_DETAILS_BYTES).toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new AslError('RECORD_INVALID', `Run details ${ref} in ${store.location} are no JSON`, { cause: error })
    }
    throw error
  }
  return isRecord(value) ? value : {}
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
