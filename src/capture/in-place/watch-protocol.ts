import type { SeenContent } from './content.ts'
import type { LedgerSummary } from './ledger.ts'
import type { Reason } from './observation.ts'
import type { RawPath } from './raw-path.ts'

/** What the program that asked for the capture tells the watcher: one line of JSON on descriptor 3. */
export interface WatchOrder {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly umask: number
  readonly timeoutMs: number | undefined
  readonly lingerMs: number
  readonly excluded: readonly RawPath[]
  readonly cachePath: string | undefined
  readonly spoolPath: string
  readonly resultPath: string
}

/** Further lines, to the watcher. */
export interface WatchRequest {
  readonly signal: NodeJS.Signals
}

/** What the watcher says, one line of JSON each. */
export type WatchNews =
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'missing'; readonly program: string }
  | {
      readonly kind: 'ended'
      readonly exitCode: number | undefined
      readonly signal: NodeJS.Signals | undefined
      readonly isTimedOut: boolean
      readonly isOutlived: boolean
      readonly wallMs: number
    }

/** What the answering thread leaves behind when the run is over. */
export interface WatchResult {
  readonly startNs: bigint
  readonly reads: ReadonlyMap<RawPath, SeenContent | undefined>
  readonly overwritten: readonly RawPath[]
  readonly special: readonly RawPath[]
  readonly listed: readonly RawPath[]
  readonly names: LedgerSummary
  readonly inputReasons: readonly Reason[]
  readonly outputReasons: readonly Reason[]
}

/** Where the two threads of the watcher stand. */
export const WATCH_STATE = { starting: 0, ready: 1, unshared: 2, marked: 3, over: 4, written: 5, failed: 6 } as const

/** A file that was read: its name, and its content unless that was lost. */
interface WireRead {
  readonly path: RawPath
  readonly seen?: Omit<SeenContent, 'identity'> & { readonly identity: string }
}

export function encodeWatchResult(result: WatchResult): string {
  const reads: WireRead[] = [...result.reads].map(([path, seen]) =>
    seen === undefined ? { path } : { path, seen: { ...seen, identity: seen.identity.toString('latin1') } },
  )
  return JSON.stringify({ ...result, startNs: String(result.startNs), reads })
}

/** The text was written by {@link encodeWatchResult} in a private folder: it is trusted. */
export function decodeWatchResult(text: string): WatchResult {
  const wire = JSON.parse(text) as Omit<WatchResult, 'reads' | 'startNs'> & { reads: WireRead[]; startNs: string }
  const reads = new Map(
    wire.reads.map(({ path, seen }): [RawPath, SeenContent | undefined] => [
      path,
      seen && { ...seen, identity: Buffer.from(seen.identity, 'latin1') },
    ]),
  )
  return { ...wire, startNs: BigInt(wire.startNs), reads }
}
