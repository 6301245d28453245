import type { SeenContent } from './content.ts'
import type { LedgerSummary } from './ledger.ts'
import type { RawPath } from './raw-path.ts'

/** What watches a command. `walk` sees declared roots before and after, and nothing else. */
export type Observer = 'fanotify' | 'strace' | 'walk'

/** Why a trace is partial. */
export type Reason =
  | 'queue-overflow'
  | 'event-fd-error'
  | 'unmarked-superblock'
  | 'process-outlived'
  | 'tracer-refused'
  | 'changed-while-read'
  | 'old-content-lost'
  | 'unreadable'
  | 'folder-unknown'
  | 'hard-link-elsewhere'

/** What was seen of one command, before anything is stored. */
export interface Observation {
  readonly observer: Observer
  /** No file that was there before the command started is younger; nanoseconds since 1970. */
  readonly startNs: bigint
  /** Files from before the run that were read, by the name they had then; `undefined` where the content was lost. */
  readonly reads: ReadonlyMap<RawPath, SeenContent | undefined>
  /** Files from before the run that were cut to nothing before anybody read them. */
  readonly overwritten: readonly RawPath[]
  /** Folders from before the run that were opened for listing. */
  readonly listed: readonly RawPath[]
  readonly names: LedgerSummary
  /** Devices, pipes and sockets that were opened; programs that are no file; what was asked over a socket. */
  readonly special: readonly string[]
  readonly inputReasons: readonly Reason[]
  readonly outputReasons: readonly Reason[]
  /** True when the observer would have seen a network connection and saw none. */
  readonly isNetworkSilent: boolean
  /** Holds the bytes of contents with a `spoolOffset`. */
  readonly spoolPath: string
}

export interface CommandEnd {
  /** Absent when a signal ended the command. */
  readonly exitCode: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly isTimedOut: boolean
  readonly wallMs: number
}

/** The command as it is run, host paths and all. */
export interface CommandOrder {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly umask: number
  /** A descriptor for standard input; absent means an empty one. */
  readonly stdin?: number
  readonly timeoutMs?: number
  /** How long processes may outlive the command before they are ended. */
  readonly lingerMs: number
  /** Live output of the command. */
  readonly onStdout: (chunk: Buffer) => void
  readonly onStderr: (chunk: Buffer) => void
  /** Calls back for every signal that is to reach the command; returns how to stop. */
  readonly onSignal?: (deliver: (signal: NodeJS.Signals) => void) => () => void
}

export interface ObserveOptions {
  /** Private folder of this capture, on the disk of the store; the observer may leave files there. */
  readonly folder: string
  /** Not looked at: the store, the folder for receipts. */
  readonly excluded: readonly RawPath[]
  /** File of the digest cache. */
  readonly cachePath: string | undefined
}

export interface ObservedRun {
  readonly end: CommandEnd
  readonly observation: Observation
}
