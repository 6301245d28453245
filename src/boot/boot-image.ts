import { closeSync, copyFileSync, openSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { AslError } from '../core/mod.ts'
import { type Clock, describeEnd, findTool, run, TOOL_ENV, withTempFolder, writeAll } from '../sys/mod.ts'
import { type Accelerator, chooseAccelerator } from './accelerator.ts'
import { consoleLines } from './console-lines.ts'
import { findUefiFirmware, type UefiFirmware } from './firmware.ts'
import { ARCH_FACTS, type GuestArch } from './guest-arch.ts'
import { type GuestStatus, parseStatusLine, tryAslLine, tryConsoleStatus, tryFatalLine } from './guest-status.ts'
import {
  type BootFirmware,
  type Machine,
  type MachineDisk,
  type MachineImage,
  type MachineKernel,
  machineArgv,
} from './machine.ts'
import { openQmp, type Qmp } from './qmp.ts'

export interface BootOptions {
  readonly arch: GuestArch
  readonly firmware: BootFirmware
  readonly image?: MachineImage
  /** With firmware `kernel`. */
  readonly kernel?: MachineKernel
  /** Files, or sizes of empty disks that are gone afterwards. */
  readonly disks?: readonly (MachineDisk | { readonly sizeBytes: number })[]
  /** Tokens for the guest, such as `asl.selftest`. */
  readonly words?: readonly string[]
  readonly memoryMib: number
  /** Default 2: systemd starts services side by side. */
  readonly cpus?: number
  readonly accelerator?: 'auto' | 'kvm' | 'tcg'
  /** QEMU's name of a processor model, when the default is not wanted. */
  readonly cpu?: string
  /** Other firmware than the host's own: with Secure Boot, for instance. */
  readonly uefi?: UefiFirmware
  /** `terminal` connects the guest's console to this process' terminal: no lines, no log, no end on a panic. */
  readonly console: 'capture' | 'terminal'
  /** Everything the console said, unchanged. */
  readonly consoleLogPath?: string
  readonly onConsoleLine?: (line: string) => void
  readonly onStart?: (accelerator: Accelerator) => void
  /** The emulator, not the guest, has failed, and the machine starts once more. */
  readonly onRestart?: (reason: string) => void
  readonly timeoutMs?: number
  /** After a fatal line: long enough for the trace behind it, and for a guest that resets by itself. Default 3 s. */
  readonly fatalGraceMs?: number
  /** From the request to quit to SIGKILL. Default 5 s. */
  readonly quitGraceMs?: number
  /** Where private folders for this machine may be made; removed at the end. */
  readonly scratchParent: string
  readonly signal?: AbortSignal
  readonly clock: Clock
  /** Another QEMU than the host's. */
  readonly qemuPath?: string
  /** Further arguments of QEMU, for tests of special hardware. */
  readonly extraArgs?: readonly string[]
}

export interface BootResult {
  readonly end: BootEnd
  /** One sentence on the end, for people. */
  readonly reason: string
  /** What the guest reported. */
  readonly status: GuestStatus | undefined
  /** What was wrong with what it reported: then there is no status. */
  readonly statusProblem: string | undefined
  /** Lines of our programs in the guest. */
  readonly aslLines: readonly string[]
  /** What the console said last. */
  readonly lastLines: readonly string[]
  /** The kernel met a breakpoint of its own that was gone. */
  readonly hasPatchOops: boolean
  readonly accelerator: Accelerator
  readonly argv: readonly string[]
  readonly wallMs: number
}

/** Only `powered-off` is the guest's own orderly end. */
export type BootEnd = 'powered-off' | 'reset' | 'stuck' | 'timed-out' | 'machine-failed'

const DEFAULT_CPUS = 2
const MAX_ATTEMPTS = 2
const LAST_LINES = 40
const MAX_STATUS_CHARS = 64 * 1024
const DEFAULT_FATAL_GRACE_MS = 3000
const DEFAULT_QUIT_GRACE_MS = 5000
/** Descriptors after stdin, stdout and stderr, in the order of the extra pipes. */
const FD = { monitor: 3, status: 4, console: 5 } as const

/**
 * Boots a machine and waits for its end. What the guest does is a result; what this host lacks is an error.
 * @throws AslError TOOL_MISSING, USAGE, PATH_NOT_FOUND, INTERRUPTED; BOOT_FAILED when QEMU itself does not start
 */
export async function bootImage(options: BootOptions): Promise<BootResult> {
  const facts = ARCH_FACTS[options.arch]
  const qemuPath = options.qemuPath ?? findTool(facts.qemu)
  if (qemuPath === undefined) {
    throw new AslError('TOOL_MISSING', `Cannot boot ${options.arch} images: there is no ${facts.qemu}`, {
      hint: `Install the package ${facts.qemuPackage}.`,
    })
  }
  for (const path of filesOf(options)) checkReadable(path)
  return withTempFolder(options.scratchParent, async scratch => {
    const accelerator = await acceleratorFor(options, qemuPath, scratch)
    options.onStart?.(accelerator)
    for (let attempt = 1; ; attempt++) {
      const result = await watch(machineFor(options, { qemuPath, accelerator, scratch }), accelerator, options, scratch)
      if (!isEmulatorFault(result) || attempt === MAX_ATTEMPTS) return result
      options.onRestart?.('QEMU lost a code patch of the guest kernel (Oops: int3)')
    }
  })
}

/**
 * With several processors, software emulation may run a stale translation of code that the kernel is patching, and the
 * kernel then meets a breakpoint that is gone (seen with QEMU 7.2, about one boot in a hundred). No image can cause that
 * oops, so the machine is started once more.
 */
function isEmulatorFault(result: BootResult): boolean {
  return result.accelerator.kind === 'tcg' && result.end !== 'powered-off' && result.hasPatchOops
}

/**
 * The status of a guest that ended in order.
 * @throws AslError BOOT_FAILED with the last lines of the console in every other case
 */
export function requireStatus(result: BootResult): GuestStatus {
  const problem =
    result.end !== 'powered-off'
      ? result.reason
      : (result.statusProblem ??
        (result.status === undefined ? 'the guest powered off without reporting a status' : undefined))
  if (problem === undefined && result.status !== undefined) return result.status
  const said = result.status === undefined ? '' : ` (it had reported status ${result.status.status})`
  const lines = result.lastLines.map(line => `  | ${line}`).join('\n')
  throw new AslError(
    'BOOT_FAILED',
    `The boot test failed: ${problem}${said}\n${lines || '  | (the console was silent)'}`,
    {
      details: { end: result.end, reason: problem, status: result.status?.status, lastLines: result.lastLines },
    },
  )
}

/** Follows one QEMU process to its end. */
async function watch(
  machine: Machine,
  accelerator: Accelerator,
  options: BootOptions,
  scratch: string,
): Promise<BootResult> {
  const startedMs = options.clock.monotonicMs()
  const argv = machineArgv(machine)
  const seen = observer()
  const log = options.consoleLogPath === undefined ? undefined : openSync(options.consoleLogPath, 'w')
  const timers: NodeJS.Timeout[] = []
  const isInteractive = options.console === 'terminal'
  const lines = consoleLines(line => {
    seen.line(line)
    options.onConsoleLine?.(line)
  })
  try {
    const result = await run(argv, {
      env: { ...TOOL_ENV, TMPDIR: scratch },
      ...(isInteractive ? { stdin: 0, stdout: 'inherit', stderr: 'inherit' } : {}),
      extraPipes: isInteractive ? 2 : 3,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      clock: options.clock,
      onStart(child) {
        const stop = (end: BootEnd, reason: string): void => {
          seen.ends(end, reason)
          qmp.quit()
          timers.push(setTimeout(() => child.kill('SIGKILL'), options.quitGraceMs ?? DEFAULT_QUIT_GRACE_MS))
        }
        const qmp: Qmp = openQmp(pipe(child.stdio, FD.monitor), {
          onShutdown: reason => seen.shutdown(reason),
          onStop: () => {
            if (!isInteractive)
              stop('machine-failed', `${accelerator.kind.toUpperCase()} stopped the machine: an internal error`)
          },
        })
        seen.onFatal = reason => {
          timers.push(setTimeout(() => stop('stuck', reason), options.fatalGraceMs ?? DEFAULT_FATAL_GRACE_MS))
        }
        const status = pipe(child.stdio, FD.status)
        status.setEncoding('utf8')
        status.on('error', () => {})
        status.on('data', (text: string) => seen.statusText(text))
        if (!isInteractive) {
          const serial = pipe(child.stdio, FD.console)
          serial.on('error', () => {})
          serial.on('data', (chunk: Buffer) => {
            if (log !== undefined) writeAll(log, chunk)
            lines.push(chunk)
          })
        }
        if (options.timeoutMs !== undefined) {
          const limit = options.timeoutMs
          timers.push(setTimeout(() => stop('timed-out', `nothing had ended after ${limit / 1000} s`), limit))
        }
      },
    })
    lines.end()
    const said = result.stderr.toString('utf8').trim()
    if (!seen.hasEnded()) seen.ends('machine-failed', `QEMU ${describeEnd(result)}${said === '' ? '' : `: ${said}`}`)
    return { ...seen.result(), accelerator, argv, wallMs: options.clock.monotonicMs() - startedMs }
  } finally {
    for (const timer of timers) clearTimeout(timer)
    if (log !== undefined) closeSync(log)
  }
}

interface Observer {
  onFatal: (reason: string) => void
  line(line: string): void
  statusText(text: string): void
  shutdown(reason: string): void
  /** The first end counts. */
  ends(end: BootEnd, reason: string): void
  hasEnded(): boolean
  result(): Omit<BootResult, 'accelerator' | 'argv' | 'wallMs'>
}

/** Collects what the guest says on its channels and how it ends. */
function observer(): Observer {
  const lastLines: string[] = []
  const aslLines: string[] = []
  const consoleStatuses: GuestStatus[] = []
  let portText = ''
  let end: { end: BootEnd; reason: string } | undefined
  let fatal: string | undefined
  let hasPatchOops = false
  const self: Observer = {
    onFatal: () => {},
    line(line) {
      lastLines.push(line)
      if (lastLines.length > LAST_LINES) lastLines.shift()
      const ours = tryAslLine(line)
      if (ours !== undefined) aslLines.push(ours)
      const status = tryConsoleStatus(line)
      if (status !== undefined) consoleStatuses.push(status)
      hasPatchOops ||= /\bint3: 0000 \[#\d+\]/.test(line)
      const reason = tryFatalLine(line)
      if (reason !== undefined && fatal === undefined) {
        fatal = reason
        self.onFatal(reason)
      }
    },
    statusText(text) {
      if (portText.length < MAX_STATUS_CHARS) portText += text
    },
    shutdown(reason) {
      if (reason === 'guest-shutdown') self.ends('powered-off', 'the guest powered off')
      else if (reason === 'guest-reset')
        self.ends('reset', fatal ?? 'the guest reset the machine instead of powering off')
      else if (reason === 'guest-panic') self.ends('stuck', 'the kernel panicked')
      else self.ends('machine-failed', `QEMU was stopped: ${reason}`)
    },
    ends(kind, reason) {
      end ??= { end: kind, reason: kind === 'powered-off' || fatal === undefined ? reason : `${fatal}` }
    },
    hasEnded: () => end !== undefined,
    result() {
      if (end === undefined) throw new Error('the machine has not ended')
      return { ...end, ...statusOf(portText, consoleStatuses), aslLines, lastLines, hasPatchOops }
    },
  }
  return self
}

/** The port decides; without it the console does. Two answers that differ are none. */
function statusOf(
  portText: string,
  consoleStatuses: readonly GuestStatus[],
): Pick<BootResult, 'status' | 'statusProblem'> {
  const problem = (text: string) => ({ status: undefined, statusProblem: text })
  const portLines = portText.split('\n').filter(line => line.trim() !== '')
  if (portLines.length > 1) return problem(`the status port said ${portLines.length} lines, wanted one`)
  const port = portLines[0] === undefined ? undefined : parseStatusLine(portLines[0])
  if (typeof port === 'string') return problem(port)
  const all = [...(port === undefined ? [] : [port]), ...consoleStatuses]
  const [first] = all
  if (first !== undefined && all.some(other => other.status !== first.status)) {
    return problem(`the guest reported several statuses: ${all.map(each => each.status).join(', ')}`)
  }
  return { status: first, statusProblem: undefined }
}

async function acceleratorFor(options: BootOptions, qemuPath: string, scratch: string): Promise<Accelerator> {
  const { accelerator = 'auto' } = options
  if (accelerator !== 'auto') return { kind: accelerator, reason: 'asked for' }
  return chooseAccelerator(options.arch, { qemuPath, scratch, signal: options.signal })
}

/**
 * Processor models for software emulation. Measured (docs/performance notes of docs/spec/boot-test.md): the fewer
 * vector extensions a guest sees, the faster its hashing, because QEMU emulates vectors element by element.
 */
const EMULATED_CPU: Readonly<Record<GuestArch, string>> = { amd64: 'qemu64', arm64: 'max,pauth-impdef=on' }

interface Host {
  readonly qemuPath: string
  readonly accelerator: Accelerator
  readonly scratch: string
}

function machineFor(options: BootOptions, { qemuPath, accelerator, scratch }: Host): Machine {
  const { arch, firmware, image, kernel, memoryMib } = options
  return {
    qemuPath,
    arch,
    firmware,
    cpus: options.cpus ?? DEFAULT_CPUS,
    memoryMib,
    accelerator: accelerator.kind,
    cpu: options.cpu ?? (accelerator.kind === 'kvm' ? 'host' : EMULATED_CPU[arch]),
    ...(firmware === 'uefi' ? { uefi: privateFirmware(options, scratch) } : {}),
    ...(image === undefined ? {} : { image }),
    ...(kernel === undefined ? {} : { kernel }),
    disks: (options.disks ?? []).map((disk, index) =>
      'path' in disk ? disk : emptyDisk(disk.sizeBytes, index, scratch),
    ),
    words: (options.words ?? []).map(checkedWord),
    console: options.console === 'terminal' ? 'terminal' : { fd: FD.console },
    monitorFd: FD.monitor,
    statusFd: FD.status,
    extraArgs: options.extraArgs ?? [],
  }
}

/** Firmware writes its variables: each machine gets a copy that is gone afterwards. */
function privateFirmware(options: BootOptions, scratch: string): UefiFirmware {
  const found = options.uefi ?? findUefiFirmware(options.arch)
  const varsPath = join(scratch, 'uefi-variables')
  copyFileSync(found.varsPath, varsPath)
  return { ...found, varsPath }
}

function emptyDisk(sizeBytes: number, index: number, scratch: string): MachineDisk {
  const path = join(scratch, `disk${index}`)
  writeFileSync(path, '')
  truncateSync(path, sizeBytes)
  return { path, format: 'raw' }
}

/** A word ends up on a kernel command line: no blanks or quotes, nothing that starts another word. */
function checkedWord(word: string): string {
  if (/^[A-Za-z0-9_.][A-Za-z0-9_.,:=/@+-]{0,255}$/.test(word)) return word
  throw new AslError('USAGE', `Cannot pass ${JSON.stringify(word)} to the guest: it is not a plain word`)
}

function filesOf({ image, kernel, disks = [] }: BootOptions): string[] {
  return [
    image?.path,
    kernel?.kernelPath,
    kernel?.initrdPath,
    ...disks.map(disk => ('path' in disk ? disk.path : undefined)),
  ].filter(path => path !== undefined)
}

function checkReadable(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    throw new AslError('PATH_NOT_FOUND', `There is no file ${path}`)
  }
}

function pipe(stdio: readonly unknown[], fd: number): Duplex {
  return stdio[fd] as Duplex // 'pipe' of spawn is a socket pair on Linux: both directions, and QEMU takes it as a socket
}
