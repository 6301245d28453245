import { AslError, LOG_KINDS, type Receipt } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'

/** What a run half says besides its fields: the builder's name of the step, how it was observed. Never proof. */
export type RunDetails = Readonly<Record<string, unknown>>

const MAX_DETAILS_BYTES = 16 * 1024 * 1024

/** Empty when the log is not in the store. @throws AslError RECORD_INVALID */
export function readRunDetails(store: StoreReader, run: Receipt): RunDetails {
  const ref = run.run?.logs?.find(log => log.kind === LOG_KINDS['run-details'])?.ref
  if (ref === undefined || !store.has(ref)) return {}
  let value: unknown
  try {
    value = JSON.parse(store.read(ref, MAX_DETAILS_BYTES).toString('utf8'))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new AslError('RECORD_INVALID', `Run details ${ref} in ${store.location} are no JSON`, { cause: error })
  }
  return isRecord(value) ? value : {}
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
