import { randomBytes } from 'node:crypto'
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  AslError,
  DETERMINISM,
  type Executor,
  type InputEntry,
  type Json,
  type OutputEntry,
  type OutputManifest,
  type Reference,
  type RunLimits,
} from '../../core/mod.ts'
import { ingestTree, type Store, type StoreWriter } from '../../store/mod.ts'
import {
  type Clock,
  childUsage,
  describeEnd,
  type Machine,
  nowSeconds,
  type ProgressCounts,
  type RunResult,
  withTempFolder,
  writeAll,
} from '../../sys/mod.ts'
import { putReceipt, putRun, type RunRecord, type StepRecord } from '../receipts.ts'
import { type Builtins, builtinNamed, type FetchedContent, inputNamed } from './builtin.ts'
import type { KnownSteps } from './known-steps.ts'
import { mergeUpper } from './merge-upper.ts'
import { openSandbox, type Sandbox, type SandboxInput } from './sandbox.ts'
import { inputPath, OUTPUT_PATH, type Step, type StepResult, WORK_PATH } from './step.ts'
import type { TreeCache } from './tree-cache.ts'

/** Everything a step is run with. */
export interface StepHost {
  readonly store: Store
  readonly trees: TreeCache
  readonly known: KnownSteps
  readonly builtins: Builtins
  /** Scratch folders of steps lie here; on the file system of the tree cache, so that results move and are not copied. */
  readonly workFolder: string
  /** `<store>/runs`: logs of every run, and both halves of failed ones. */
  readonly runsFolder: string
  readonly executor: Executor
  readonly machine: Machine
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** The recorder for steps with network `declared`. */
  openNetwork?(step: Step): Promise<StepNetwork>
  /** What a builtin has done so far. */
  progress?(step: Step, counts: ProgressCounts): void
}

/** The only way out of a sandbox: answers its requests, and remembers each answer as an input of the step. */
export interface StepNetwork {
  /** Called with the pid of a process in the step's network namespace before the command starts. */
  attach(pid: number): Promise<void>
  /** A certificate that the sandbox trusts, shown at `/work/ca.pem`. */
  readonly caFile: string | undefined
  /** Asks as a program in the sandbox would. `undefined` when the answer is that there is no such thing. */
  fetch(url: string): Promise<FetchedContent | undefined>
  /** Every response that the command was given. Call once, after the command has ended. */
  finish(): Promise<NetworkRecord>
  close(): Promise<void>
}

export interface NetworkRecord {
  readonly inputs: readonly InputEntry[]
  /** What goes into the run details: the real URLs, header facts, refusals, completeness. */
  readonly details: Json
  /** What went wrong on the way: an unreachable mirror, a digest that differs. */
  readonly findings: readonly AslError[]
}

/**
 * Runs a step, or finds the receipt that it has already.
 * @throws AslError CAPTURE_COMMAND_FAILED with the end of its output; nothing of a failed step enters the store
 */
export async function runStep(step: Step, host: StepHost, options: { isForced?: boolean } = {}): Promise<StepResult> {
  const startedMs = host.clock.monotonicMs()
  const known = options.isForced === true ? undefined : host.known.find(step)
  if (known !== undefined) {
    const wallMs = host.clock.monotonicMs() - startedMs
    return { step, receiptRef: known.ref, outputs: known.outputs.entries, state: 'known', wallMs }
  }
  return withTempFolder(host.workFolder, async scratch => {
    const run = step.command.builtin === undefined ? runCommand : runBuiltin
    const { receiptRef, outputs } = await run(step, host, scratch)
    host.known.add(receiptRef)
    return { step, receiptRef, outputs, state: 'built', wallMs: host.clock.monotonicMs() - startedMs }
  })
}

interface Finished {
  readonly receiptRef: Reference
  readonly outputs: readonly OutputEntry[]
}

async function runBuiltin(step: Step, host: StepHost, scratch: string): Promise<Finished> {
  const started = begin(host)
  const builtin = builtinNamed(host.builtins, step.command.builtin ?? '')
  const network = step.environment.network === 'none' ? undefined : await openStepNetwork(step, host)
  // Opened when first needed: the recorder writes to the store too while a builtin fetches.
  let writer: StoreWriter | undefined
  const openWriter = (): StoreWriter => {
    writer ??= host.store.openWriter()
    return writer
  }
  try {
    const entries = await builtin.run({
      store: host.store,
      openWriter,
      environment: step.environment,
      inputs: step.inputs,
      input: name => inputNamed(step.inputs, name),
      fetch: async url => {
        if (network !== undefined) return network.fetch(url)
        throw new AslError('REQUEST_INVALID', `Step "${step.name}" declares no network and asks for ${url}`)
      },
      scratch,
      progress: counts => host.progress?.(step, counts),
      ...(host.signal === undefined ? {} : { signal: host.signal }),
    })
    const answers = await network?.finish()
    const record = recordOf(step, host, [...step.inputs, ...(answers?.inputs ?? [])], { exitCode: 0, entries })
    const receiptRef = putHalves(openWriter(), record, step, host, started, undefined)
    openWriter().commit()
    return { receiptRef, outputs: entries }
  } finally {
    writer?.abort()
    await network?.close()
  }
}

async function runCommand(step: Step, host: StepHost, scratch: string): Promise<Finished> {
  const started = begin(host)
  const network = step.environment.network === 'none' ? undefined : await openStepNetwork(step, host)
  const logs = { stdout: join(scratch, 'stdout'), stderr: join(scratch, 'stderr') }
  const sandbox = await openStepSandbox(step, host, join(scratch, 'sandbox'), network?.caFile)
  try {
    const result = await runLogged(step, host, sandbox, logs, network)
    const answers = await network?.finish()
    const inputs = [...step.inputs, ...(answers?.inputs ?? [])]
    if (result.exitCode === undefined || !step.command.expectExit.includes(result.exitCode) || result.isTimedOut) {
      throw failure(step, host, result, logs, answers?.findings ?? [])
    }
    await sandbox.close()
    return await inOneBatch(host.store, async writer => {
      const { entries, adopt } = collectOutputs(step, host, sandbox, writer)
      if (entries.length === 0) throw failure(step, host, result, logs, [noOutputs(step)])
      const outputs: OutputManifest = { exitCode: result.exitCode ?? 0, entries }
      const record = recordOf(step, host, inputs, outputs)
      const run = { ...logs, network: answers?.details }
      const receiptRef = putHalves(writer, record, step, host, started, run)
      return { receiptRef, outputs: entries, afterCommit: adopt }
    })
  } finally {
    await network?.close()
    await sandbox.close()
  }
}

async function openStepNetwork(step: Step, host: StepHost): Promise<StepNetwork> {
  if (host.openNetwork !== undefined) return host.openNetwork(step)
  throw new AslError('REQUEST_INVALID', `Step "${step.name}" declares a network, and this run has no recorder`)
}

/** A sandbox over the step's root and inputs; also what `--shell` opens. */
export async function openStepSandbox(
  step: Step,
  host: Pick<StepHost, 'store' | 'trees'>,
  folder: string,
  caFile?: string,
): Promise<Sandbox> {
  const { rootRef, umask, vars, sourceDateEpoch, hostname } = step.environment
  if (rootRef === undefined) throw new AslError('REQUEST_INVALID', `Step "${step.name}" names no root to run in`)
  mkdirSync(folder, { recursive: true })
  const roots = Object.entries(step.command.roots ?? {})
  const inputs: SandboxInput[] = caFile === undefined ? [] : [{ kind: 'file', at: `${WORK_PATH}/ca.pem`, file: caFile }]
  for (const entry of step.inputs) {
    if (entry.role === 'receipt' || roots.some(([name]) => name === entry.name)) continue
    inputs.push(sandboxInput(entry, host, join(folder, 'files')))
  }
  return openSandbox({
    folder,
    root: host.trees.layers(rootRef),
    inputs,
    roots: roots.map(([name, at]) => ({ name, at, layers: host.trees.layers(inputNamed(step.inputs, name).ref) })),
    env: { ...vars, SOURCE_DATE_EPOCH: String(sourceDateEpoch) },
    umask,
    hostname: hostname ?? 'localhost',
  })
}

/** Raw blocks are shown as they lie; packed content is written out first. */
function sandboxInput(entry: InputEntry, host: Pick<StepHost, 'store' | 'trees'>, folder: string): SandboxInput {
  const at = inputPath(entry)
  if (entry.size === undefined) return { kind: 'tree', at, layers: host.trees.layers(entry.ref) }
  const inPlace = host.store.tryContentPath(entry.ref)
  if (inPlace !== undefined) return { kind: 'file', at, file: inPlace }
  return { kind: 'file', at, file: writeContent(host.store, entry.ref, folder) }
}

async function runLogged(
  step: Step,
  host: StepHost,
  sandbox: Sandbox,
  logs: { readonly stdout: string; readonly stderr: string },
  network: StepNetwork | undefined,
): Promise<RunResult> {
  const [stdout, stderr] = [openSync(logs.stdout, 'w'), openSync(logs.stderr, 'w')]
  try {
    return await sandbox.run(step.command.argv ?? [], {
      cwd: step.command.cwd,
      stdout,
      stderr,
      ...(step.command.timeoutS === undefined ? {} : { timeoutMs: step.command.timeoutS * 1000 }),
      ...(host.signal === undefined ? {} : { signal: host.signal }),
      ...(network === undefined ? {} : { beforeStart: pid => network.attach(pid) }),
    })
  } finally {
    closeSync(stdout)
    closeSync(stderr)
  }
}

/** Roots become trees by what changed over them; everything in `/work/out` becomes a file or a tree. */
function collectOutputs(
  step: Step,
  host: StepHost,
  sandbox: Sandbox,
  writer: StoreWriter,
): { readonly entries: OutputEntry[]; readonly adopt: () => void } {
  const epoch = step.environment.sourceDateEpoch
  const entries: OutputEntry[] = []
  const adoptions: (() => void)[] = []
  for (const [name, at] of Object.entries(step.command.roots ?? {})) {
    const before = inputNamed(step.inputs, name).ref
    const upper = sandbox.upperOf(name)
    const ref = mergeUpper(host.store, writer, before, upper, { epoch, isRoot: at === '/' })
    entries.push({ name, role: 'tree', ref })
    if (ref !== before) adoptions.push(() => host.trees.adopt(ref, upper, before))
  }
  const items = existsSync(sandbox.outputFolder) ? readdirSync(sandbox.outputFolder, { withFileTypes: true }) : []
  for (const item of items) {
    const path = join(sandbox.outputFolder, item.name)
    if (item.isDirectory()) {
      const { reference: ref } = ingestTree(writer, path, { mtime: 'clamp', epoch })
      entries.push({ name: item.name, role: 'tree', ref })
      adoptions.push(() => host.trees.adopt(ref, path, undefined))
    } else if (item.isFile()) {
      const ref = writer.putFile(path)
      const size = statSync(path).size
      entries.push({ name: item.name, role: step.outputRoles?.[item.name] ?? 'file', ref, size })
    } else {
      throw new AslError(
        'CAPTURE_FAILED',
        `Step "${step.name}" left ${OUTPUT_PATH}/${item.name}, which is no file or folder`,
      )
    }
  }
  const adopt = (): void => {
    for (const act of adoptions) act()
  }
  return { entries, adopt }
}

function writeContent(store: Store, ref: Reference, folder: string): string {
  const path = join(folder, ref)
  mkdirSync(folder, { recursive: true })
  const fd = openSync(path, 'w', 0o644)
  try {
    for (const chunk of store.chunks(ref)) writeAll(fd, chunk)
  } finally {
    closeSync(fd)
  }
  return path
}

async function inOneBatch(
  store: Store,
  body: (writer: StoreWriter) => Promise<Finished & { readonly afterCommit?: () => void }>,
): Promise<Finished> {
  const writer = store.openWriter()
  try {
    const { afterCommit, ...finished } = await body(writer)
    writer.commit()
    afterCommit?.()
    return finished
  } finally {
    writer.abort()
  }
}

function recordOf(step: Step, host: StepHost, inputs: readonly InputEntry[], outputs: OutputManifest): StepRecord {
  return {
    command: step.command,
    inputs: { entries: inputs },
    environment: step.environment,
    outputs,
    executors: [host.executor],
  }
}

interface Begun {
  readonly seconds: number
  readonly ms: number
  readonly usage: ReturnType<typeof childUsage>
}

function begin(host: StepHost): Begun {
  return { seconds: nowSeconds(host.clock), ms: host.clock.monotonicMs(), usage: childUsage() }
}

/** Both halves of the receipt. @returns the reference of the deterministic one */
function putHalves(
  writer: StoreWriter,
  record: StepRecord,
  step: Step,
  host: StepHost,
  begun: Begun,
  ran: { readonly stdout: string; readonly stderr: string; readonly network: Json | undefined } | undefined,
): Reference {
  const { receiptRef, receipt } = putReceipt(writer, record)
  const usage = childUsage()
  const limits: RunLimits = {
    cpuMs: usage.cpuMs - begun.usage.cpuMs,
    wallMs: Math.round(host.clock.monotonicMs() - begun.ms),
    maxRssKib: usage.maxRssKib,
    ioReads: usage.ioReads - begun.usage.ioReads,
    ioWrites: usage.ioWrites - begun.usage.ioWrites,
  }
  const runId = randomBytes(16)
  const { machine } = host
  const run: RunRecord = {
    startedAt: begun.seconds,
    completedAt: Math.max(begun.seconds, nowSeconds(host.clock)),
    runId,
    fingerprint: {
      host: machine.host,
      kernel: machine.kernel,
      arch: machine.arch,
      cpuCount: machine.cpuCount,
      memoryKib: machine.memoryKib,
      runtime: machine.runtime,
      sandbox: ran === undefined ? 'none' : 'bubblewrap',
      tools: {},
    },
    limits,
    determinismLevel: DETERMINISM.isolated,
    stdout: ran === undefined ? Buffer.alloc(0) : readFileSync(ran.stdout),
    stderr: ran === undefined ? Buffer.alloc(0) : readFileSync(ran.stderr),
    details: {
      step: step.name,
      argv: record.command.argv ?? [record.command.builtin ?? ''],
      cwd: record.command.cwd,
      host: machine.host,
      user: machine.user,
      run_id: runId.toString('hex'),
      started_at_ms: begun.seconds * 1000,
      completed_at_ms: Math.floor(host.clock.nowMs()),
      network: ran?.network,
    },
  }
  putRun(writer, receiptRef, receipt, run)
  return receiptRef
}

const SHOWN_LINES = 20

/** Keeps the logs of a failed run and says where they lie; nothing of it enters the store. */
function failure(
  step: Step,
  host: StepHost,
  result: RunResult,
  logs: { readonly stdout: string; readonly stderr: string },
  findings: readonly AslError[],
): AslError {
  const folder = join(host.runsFolder, 'failed', `${new Date(host.clock.nowMs()).toISOString().replaceAll(':', '')}`)
  mkdirSync(folder, { recursive: true })
  for (const name of ['stdout', 'stderr'] as const) copyFileSync(logs[name], join(folder, name))
  writeFileSync(join(folder, 'command.json'), `${JSON.stringify(step.command, undefined, 2)}\n`)
  const tail = lastLines(`${readFileSync(logs.stdout, 'utf8')}\n${readFileSync(logs.stderr, 'utf8')}`)
  const [cause] = findings
  return new AslError(
    cause?.code ?? 'CAPTURE_COMMAND_FAILED',
    `Step "${step.name}" ${describeEnd(result)}; its logs lie in ${folder}`,
    {
      ...(cause === undefined ? {} : { cause }),
      hint: [...tail.map(line => `| ${line}`), ...(cause?.hint === undefined ? [] : [cause.hint])].join('\n  '),
      details: {
        step: step.name,
        argv: step.command.argv,
        exitCode: result.exitCode,
        signal: result.signal,
        isTimedOut: result.isTimedOut,
        logs: folder,
      },
    },
  )
}

function noOutputs(step: Step): AslError {
  return new AslError('CAPTURE_OUTPUT_MISSING', `Step "${step.name}" left nothing in ${OUTPUT_PATH}`)
}

function lastLines(text: string): string[] {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(-SHOWN_LINES)
}
