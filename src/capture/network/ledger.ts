import type { AslError } from '../../core/mod.ts'
import type { NetworkCompleteness, OpaqueTraffic, PartialReason, Refusal } from './policy.ts'

/** A step may ask a million times: the first of each kind say enough. */
const MAX_ENTRIES = 1000

/** What happened on the network of one step besides the responses it was given. */
export class Ledger {
  readonly #refusals: Refusal[] = []
  readonly #findings = new Map<string, AslError>()
  readonly #opaque: OpaqueTraffic[] = []
  readonly #reasons = new Set<PartialReason>()
  /** URLs whose fetch failed, until one succeeds. */
  readonly #failedUrls = new Set<string>()

  refuse(refusal: Refusal): void {
    if (this.#refusals.length < MAX_ENTRIES) this.#refusals.push(refusal)
  }

  find(error: AslError): void {
    if (this.#findings.size < MAX_ENTRIES) this.#findings.set(`${error.code} ${error.message}`, error)
  }

  fail(url: string, error: AslError): void {
    this.find(error)
    if (this.#failedUrls.size < MAX_ENTRIES) this.#failedUrls.add(url)
  }

  succeed(url: string): void {
    this.#failedUrls.delete(url)
  }

  weaken(reason: PartialReason): void {
    this.#reasons.add(reason)
  }

  passOpaque(traffic: OpaqueTraffic): void {
    this.weaken(traffic.kind === 'tunnel' ? 'tls-opaque' : 'request-opaque')
    if (this.#opaque.length < MAX_ENTRIES) this.#opaque.push(traffic)
  }

  refusals(): readonly Refusal[] {
    return [...this.#refusals]
  }

  findings(): readonly AslError[] {
    return [...this.#findings.values()]
  }

  opaqueTraffic(): readonly OpaqueTraffic[] {
    return [...this.#opaque]
  }

  completeness(): NetworkCompleteness {
    const reasons = new Set(this.#reasons)
    if (this.#failedUrls.size > 0) reasons.add('unreachable')
    return { state: reasons.size === 0 ? 'complete' : 'partial', reasons: [...reasons].sort() }
  }
}
