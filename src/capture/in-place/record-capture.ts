import { randomBytes } from 'node:crypto'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Command,
  DETERMINISM,
  type Environment,
  encodeReceipt,
  type InputEntry,
  type OutputEntry,
  type OutputManifest,
  type Receipt,
  type Reference,
  type StepRecord,
} from '../../core/mod.ts'
import type { StoreWriter } from '../../store/mod.ts'
import { childUsage } from '../../sys/mod.ts'
import { type ReceiptPaths, writeReceiptFiles, writeRunFiles } from '../receipt-files.ts'
import { putReceipt, putRun, type RunRecord, runHalf } from '../receipts.ts'
import { cachingWriter } from './caching-writer.ts'
import { type CaptureContext, UMASK } from './capture-request.ts'
import { putChangeLayer } from './change-layer.ts'
import { putTree, STDIN_NAME } from './declared-inputs.ts'
import { type Changed, type EndState, readEndState, tryStat } from './end-state.ts'
import { type Finding, findingsOf } from './findings.ts'
import { putReadInputs } from './input-entries.ts'
import type { LogFile } from './logs.ts'
import type { CommandEnd, Observation, ObservedRun, Reason } from './observation.ts'
import { putOutputFiles, requireOutputs } from './output-entries.ts'
import { pathText, type RawPath } from './raw-path.ts'
import { receiptOnlyWriter } from './receipt-only-writer.ts'
import { viewOf } from './record-view.ts'
import { putTrace, type Trace } from './trace.ts'

export interface CaptureResult {
  readonly receiptRef: Reference
  readonly runRef: Reference
  readonly end: CommandEnd
  /** The command ended as it was not expected to: nothing of it is in the store. */
  readonly isFailed: boolean
  readonly inputs: readonly InputEntry[]
  readonly outputs: readonly OutputEntry[]
  readonly trace: Trace
  readonly findings: readonly Finding[]
  /** Where the receipt lies for people; absent for a failed command. */
  readonly files: ReceiptPaths | undefined
  readonly runFolder: string
}

export interface RecordOptions {
  readonly logs: { readonly stdout: LogFile; readonly stderr: LogFile }
  readonly isExcluded: (path: RawPath) => boolean
}

/** Puts contents, manifests and both halves of the receipt into one batch, and writes what people read. */
export function recordCapture(context: CaptureContext, seen: ObservedRun, options: RecordOptions): CaptureResult {
  const { request, host } = context
  const { end } = seen
  const isExpected = end.exitCode !== undefined && request.expectExit.includes(end.exitCode)
  const isFailed = !isExpected || end.isTimedOut
  const inner = isFailed ? receiptOnlyWriter() : host.store.openWriter()
  const writer = cachingWriter(inner, context.cache, context.factsOf, host.clock)
  try {
    const facts = gather(writer, context, seen, options)
    if (!isFailed) requireOutputs(request.outputs, facts.record.outputs.entries)
    const { receiptRef, receipt } = putReceipt(writer, facts.record)
    const run = runRecord(writer, context, seen, facts.trace, options)
    const runRef = putRun(writer, receiptRef, receipt, run)
    const half = runHalf(writer, receipt, run)
    writer.commit()
    if (!isFailed) rememberReads(context, seen)
    const runFolder = writeRun(context, { receiptRef, receipt, runRef, half, run, isFailed }, options)
    const view = viewOf(facts.record)
    const files = isFailed
      ? undefined
      : writeReceiptFiles(request.outdir, receiptRef, receipt, { step: request.step, view })
    return {
      ...{ receiptRef, runRef, end, isFailed, files, runFolder, trace: facts.trace, findings: facts.findings },
      inputs: facts.record.inputs.entries,
      outputs: facts.record.outputs.entries,
    }
  } finally {
    writer.abort()
  }
}

interface Gathered {
  readonly record: StepRecord
  readonly trace: Trace
  readonly findings: readonly Finding[]
}

function gather(
  writer: StoreWriter,
  context: CaptureContext,
  { end, observation }: ObservedRun,
  { isExcluded }: RecordOptions,
): Gathered {
  const { request, host, naming, declared } = context
  const epoch = request.sourceDateEpoch ?? 0
  const state = readEndState(observation, isExcluded)
  const output = putOutputFiles(writer, state, { observation, naming })
  const layer = putChangeLayer(writer, state, {
    ...{ store: host.store, files: output.files, naming, umask: UMASK, epoch },
    ...{ uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    lost: new Set(observation.names.lost),
  })
  const rootsAfter = naming.roots
    .filter(root => tryStat(root.path) !== undefined)
    .map(root => putTree(writer, root.name, root.path, epoch))
  const read = putReadInputs(writer, { observation, end: state, naming, outputs: output.files, store: host.store })
  const outputs = [...output.entries, ...rootsAfter, ...(layer === undefined ? [] : [layer])]
  const inputs = mergeInputs(declared, read.entries)
  const inputReasons = [...observation.inputReasons, ...read.reasons, ...unseenOverwrites(state, observation)]
  const outputReasons = [...observation.outputReasons, ...output.reasons]
  const trace = putTrace(writer, {
    ...{ observation, end: state, read, inputReasons, outputReasons },
    isNetworkKnown: observation.isNetworkSilent,
  })
  const command = commandOf(context)
  const environment = environmentOf(context)
  return {
    trace,
    record: {
      command,
      environment,
      inputs: { entries: inputs },
      outputs: manifestOf(end, outputs),
      executors: [host.executor],
    },
    findings: findingsOf({
      commandTexts: [...(command.argv ?? []), command.cwd],
      roots: command.roots ?? {},
      isEpochSet: request.sourceDateEpoch !== undefined,
      rootsBefore: declared,
      reasons: trace.reasons,
      refusals: observation.observer === 'walk' ? context.refusals : [],
      ...{ inputs, outputs, read },
    }),
  }
}

/** A file from before the run has other content now, and nobody saw it being opened: cut by name, or mapped before. */
function unseenOverwrites({ changed }: EndState, { reads, overwritten, names }: Observation): readonly Reason[] {
  const known = new Set<RawPath>([...reads.keys(), ...overwritten])
  const before = new Map(names.moved.map(([from, to]) => [to, from]))
  const isUnseen = ([path, change]: readonly [RawPath, Changed]): boolean =>
    change.hasNewContent && !change.isNew && change.stat.isFile() && !known.has(before.get(path) ?? path)
  return [...changed].some(isUnseen) ? ['old-content-lost'] : []
}

/** What was declared wins over what was seen under the same name: it was read before the command could change it. */
function mergeInputs(declared: readonly InputEntry[], read: readonly InputEntry[]): readonly InputEntry[] {
  const names = new Set(declared.map(entry => entry.name))
  return [...declared, ...read.filter(entry => !names.has(entry.name))]
}

function manifestOf(end: CommandEnd, entries: readonly OutputEntry[]): OutputManifest {
  if (end.isTimedOut) return { timedOut: true, entries }
  return end.signal === undefined ? { exitCode: end.exitCode ?? 0, entries } : { signal: end.signal, entries }
}

function commandOf({ request, naming }: CaptureContext): Command {
  const roots = naming.roots.map(({ name, neutral }) => [name, pathText(neutral)] as const)
  return {
    argv: request.argv.map(naming.neutralText),
    cwd: naming.neutralText(request.cwd),
    expectExit: [...new Set(request.expectExit)],
    ...(roots.length === 0 ? {} : { roots: Object.fromEntries(roots) }),
    ...(request.stdin === undefined ? {} : { stdin: STDIN_NAME }),
    ...(request.timeoutS === undefined ? {} : { timeoutS: request.timeoutS }),
  }
}

function environmentOf({ request, host, naming }: CaptureContext): Environment {
  const vars = Object.entries(request.env).map(([name, value]) => [name, naming.neutralText(value)] as const)
  return {
    arch: host.machine.arch,
    network: 'open',
    umask: UMASK,
    sourceDateEpoch: request.sourceDateEpoch ?? 0,
    vars: Object.fromEntries(vars),
  }
}

function runRecord(
  writer: StoreWriter,
  { request, host, startedMs, usageBefore }: CaptureContext,
  { end, observation }: ObservedRun,
  trace: Trace,
  { logs }: RecordOptions,
): RunRecord {
  const { machine, clock } = host
  const usage = childUsage()
  const runId = randomBytes(16)
  const completedMs = Math.max(clock.nowMs(), startedMs)
  const isComplete = trace.inputs === 'complete' && trace.outputs === 'complete' && trace.network === 'complete'
  return {
    startedAt: Math.floor(startedMs / 1000),
    completedAt: Math.floor(completedMs / 1000),
    runId,
    fingerprint: {
      ...{ host: machine.host, kernel: machine.kernel, arch: machine.arch, cpuCount: machine.cpuCount },
      ...{
        memoryKib: machine.memoryKib,
        runtime: machine.runtime,
        sandbox: `in-place ${observation.observer}`,
        tools: {},
      },
    },
    limits: {
      cpuMs: usage.cpuMs - usageBefore.cpuMs,
      wallMs: Math.round(end.wallMs),
      maxRssKib: usage.maxRssKib,
      ioReads: usage.ioReads - usageBefore.ioReads,
      ioWrites: usage.ioWrites - usageBefore.ioWrites,
    },
    determinismLevel: isComplete ? DETERMINISM.declared : DETERMINISM.unknown,
    stdout: logs.stdout.put(writer),
    stderr: logs.stderr.put(writer),
    details: {
      argv: request.argv,
      completed_at_ms: Math.floor(completedMs),
      cwd: request.cwd,
      host: machine.host,
      pid: process.pid,
      run_id: runId.toString('hex'),
      started_at_ms: Math.floor(startedMs),
      step: request.step,
      user: machine.user,
      roots: request.roots,
      trace: { ...trace },
    },
  }
}

interface Written {
  readonly receiptRef: Reference
  readonly receipt: Receipt
  readonly runRef: Reference
  readonly half: Receipt
  readonly run: RunRecord
  readonly isFailed: boolean
}

/** A failed command leaves its deterministic half here too, with what a replay needs to know: nothing is in the store. */
function writeRun({ request, host }: CaptureContext, written: Written, { logs }: RecordOptions): string {
  const { receiptRef, receipt, runRef, half, run, isFailed } = written
  const details = run.details
  const folder = writeRunFiles(join(host.storeFolder, 'runs'), receiptRef, { ref: runRef, receipt: half, details })
  copyFileSync(logs.stdout.path, join(folder, 'stdout'))
  copyFileSync(logs.stderr.path, join(folder, 'stderr'))
  if (isFailed) {
    writeFileSync(join(folder, 'receipt.fer'), encodeReceipt(receipt))
    writeFileSync(join(folder, 'command.json'), `${JSON.stringify({ ...request }, undefined, 2)}\n`)
  }
  return folder
}

/** Contents that are in the store now need not be read at the next run. */
function rememberReads({ cache }: CaptureContext, { observation }: ObservedRun): void {
  for (const seen of observation.reads.values()) {
    if (seen !== undefined && isSettled(seen.identity, observation.startNs)) cache.add(seen.identity, seen.ref)
  }
  cache.save()
}

/** Last changed clearly before the run, by the ctime in the identity. */
function isSettled(identity: Buffer, startNs: bigint): boolean {
  return identity.readBigInt64LE(36) * 1_000_000_000n + 20_000_000n < startNs
}
