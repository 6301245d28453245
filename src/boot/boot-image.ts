import { closeSync, openSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { AslError } from '../core/mod.ts'
import { describeEnd, findTool, run, TOOL_ENV, withTempFolder, writeAll } from '../sys/mod.ts'
import { type Accelerator, chooseAccelerator } from './accelerator.ts'
import type { BootOptions } from './boot-options.ts'
import { consoleLines } from './console-lines.ts'
import { ARCH_FACTS } from './guest-arch.ts'
import type { GuestStatus } from './guest-status.ts'
import { type Machine, machineArgv } from './machine.ts'
import { type BootEnd, type Observation, observer } from './observer.ts'
import { checkFiles, FD, prepareMachine } from './prepare-machine.ts'
import { openQmp, type Qmp } from './qmp.ts'

export interface BootResult extends Observation {
  readonly accelerator: Accelerator
  readonly argv: readonly string[]
  readonly wallMs: number
}

const MAX_ATTEMPTS = 2
const DEFAULT_FATAL_GRACE_MS = 3000
const DEFAULT_QUIT_GRACE_MS = 5000

/**
 * Boots a machine and waits for its end. What the guest does is a result; what this host lacks is an error.
 * @throws AslError TOOL_MISSING, USAGE, PATH_NOT_FOUND, INTERRUPTED
 */
export async function bootImage(options: BootOptions): Promise<BootResult> {
  const facts = ARCH_FACTS[options.arch]
  const qemuPath = options.qemuPath ?? findTool(facts.qemu)
  if (qemuPath === undefined) {
    throw new AslError('TOOL_MISSING', `Cannot boot ${options.arch} images: there is no ${facts.qemu}`, {
      hint: `Install the package ${facts.qemuPackage}.`,
    })
  }
  checkFiles(options)
  return withTempFolder(options.scratchParent, async scratch => {
    const accelerator = await acceleratorFor(options, qemuPath, scratch)
    options.onStart?.(accelerator)
    for (let attempt = 1; ; attempt++) {
      const result = await watch(
        prepareMachine(options, { qemuPath, accelerator, scratch }),
        accelerator,
        options,
        scratch,
      )
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

async function acceleratorFor(options: BootOptions, qemuPath: string, scratch: string): Promise<Accelerator> {
  const { accelerator = 'auto' } = options
  if (accelerator !== 'auto') return { kind: accelerator, reason: 'asked for' }
  return chooseAccelerator(options.arch, { qemuPath, scratch, signal: options.signal })
}

function pipe(stdio: readonly unknown[], fd: number): Duplex {
  return stdio[fd] as Duplex // 'pipe' of spawn is a socket pair on Linux: both directions, and QEMU takes it as a socket
}
