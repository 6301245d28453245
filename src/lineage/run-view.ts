import { decodeReceipt, FINGERPRINT, type Reference } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import { showText } from './byte-path.ts'
import type { Graph } from './graph.ts'
import { isRecord, type RunDetails, readRunDetails } from './run-details.ts'

/** When, where and how well observed a step ran: from its run half, which is never inside an image. */
export interface RunView {
  readonly ref: Reference
  /** RFC 3339, UTC. */
  readonly startedAt: string
  readonly wallMs?: number
  readonly host?: string
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
  const receipt = decodeReceipt(store.read(ref))
  const { limits, fingerprintRef } = receipt.run ?? {}
  const { trace } = readRunDetails(store, receipt)
  return {
    ref,
    startedAt: new Date(receipt.startedAt * 1000).toISOString(),
    ...(limits === undefined ? {} : { wallMs: limits.wallMs }),
    ...(fingerprintRef === undefined || !store.has(fingerprintRef)
      ? {}
      : { host: showText(FINGERPRINT.decode(store.read(fingerprintRef)).host) }),
    ...(isRecord(trace) && typeof trace.observer === 'string' ? { observer: observerText(trace) } : {}),
  }
}

function observerText(trace: RunDetails): string {
  const partial = ['inputs', 'outputs', 'network', 'environment'].filter(part => trace[part] === 'partial')
  return showText(`${trace.observer}, ${partial.length === 0 ? 'complete' : `${partial.join(' and ')} partial`}`)
}
