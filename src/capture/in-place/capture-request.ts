import type { Executor, InputEntry } from '../../core/mod.ts'
import type { Store } from '../../store/mod.ts'
import type { ChildUsage, Clock, FileFacts, Machine } from '../../sys/mod.ts'
import type { DigestCache } from './digest-cache.ts'
import type { Naming } from './naming.ts'
import type { CommandOrder, Observer } from './observation.ts'

/** A command to run in place, as its user gave it. All paths are absolute. */
export interface CaptureRequest {
  readonly argv: readonly string[]
  readonly cwd: string
  /** The whole environment but for SOURCE_DATE_EPOCH. */
  readonly env: Readonly<Record<string, string>>
  /** `undefined` when nobody set it; 0 is used. */
  readonly sourceDateEpoch: number | undefined
  /** Folder for the receipt. */
  readonly outdir: string
  /** Name → folder: a tree before and after. */
  readonly roots: Readonly<Record<string, string>>
  readonly inputs: Readonly<Record<string, string>>
  readonly outputs: Readonly<Record<string, string>>
  readonly artifactInputs: readonly string[]
  readonly stdin: string | undefined
  readonly expectExit: readonly number[]
  readonly timeoutS: number | undefined
  /** How long processes may outlive the command. */
  readonly lingerS: number
  readonly step: string
  readonly observer: Observer | undefined
}

export interface CaptureHost {
  readonly store: Store
  /** The folder that the user calls the store: `binaries scripts per runs` lie there. */
  readonly storeFolder: string
  /** Scratch and the digest cache, on the disk of the store. */
  readonly tempFolder: string
  readonly executor: Executor
  readonly machine: Machine
  readonly clock: Clock
  readonly onStdout: (chunk: Buffer) => void
  readonly onStderr: (chunk: Buffer) => void
  readonly onSignal?: CommandOrder['onSignal']
  /** What is going on, for people. */
  readonly progress?: (text: string) => void
}

/** What a capture carries from its start to its end. */
export interface CaptureContext {
  readonly request: CaptureRequest
  readonly host: CaptureHost
  readonly naming: Naming
  readonly cache: DigestCache
  readonly factsOf: (fd: number) => FileFacts
  readonly declared: readonly InputEntry[]
  readonly refusals: readonly string[]
  readonly startedMs: number
  readonly usageBefore: ChildUsage
}

/** Of the command; the caller's own would be a hidden input. */
export const UMASK = 0o022
