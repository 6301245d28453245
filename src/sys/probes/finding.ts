import type { ToolUse } from '../host-tools.ts'

/** One answer about the host. */
export interface HostFinding {
  /** What was asked: `user namespaces`. */
  readonly name: string
  /** `degraded` still works, slower or with less; `missing` stops what is in `neededFor`. */
  readonly state: 'ok' | 'degraded' | 'missing'
  /** What was found, in one clause. */
  readonly found: string
  /** What to do about it; absent when nothing needs doing or can be done. */
  readonly remedy?: string
  readonly neededFor: readonly ToolUse[]
}

/** What the probes are told about the caller and the place that work is done in. */
export interface ProbePlace {
  readonly uid: number
  readonly userName: string
  /** The nearest existing folder above the place of the store. */
  readonly storeFolder: string
  /** Where probes make files: the same, or a temporary folder when that cannot be written. */
  readonly folder: string
}
