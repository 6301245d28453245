import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { AslError, messageOf } from '../core/mod.ts'
import { type Clock, systemClock } from './clock.ts'
import { killTree } from './process-tree.ts'

export interface RunOptions {
  /** The whole environment of the program; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Bytes for standard input; absent means an empty one. A number is a file descriptor. */
  readonly stdin?: Uint8Array | number
  /**
   * Where standard output and error go: kept in memory (the default), shown to the user, a file descriptor, or handed
   * over as they come and not kept.
   */
  readonly stdout?: 'capture' | 'inherit' | number | ((chunk: Buffer) => void)
  readonly stderr?: 'capture' | 'inherit' | number | ((chunk: Buffer) => void)
  /** Further pipes, passed on as descriptors 3, 4, …; `onStart` talks through `child.stdio`. */
  readonly extraPipes?: number
  /** Opens Node's message channel, for a child that is a Node program too; `onStart` talks through it. */
  readonly hasMessageChannel?: boolean
  /** Killed with SIGKILL after this long. */
  readonly timeoutMs?: number
  /** Starts the program in a process group of its own, and a time limit or an abort ends all that it started. */
  readonly isGroup?: boolean
  readonly signal?: AbortSignal
  readonly clock?: Clock
  /** Called with the process as soon as it runs: for a caller that talks to it while it does. */
  readonly onStart?: (child: ChildProcess) => void
}

export interface RunResult {
  readonly argv: readonly string[]
  /** Absent when a signal ended the program. */
  readonly exitCode: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly isTimedOut: boolean
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly wallMs: number
}

/** Most that is kept of a captured stream; a program that prints more belongs into a file. */
const CAPTURE_LIMIT_BYTES = 64 * 1024 * 1024

/**
 * Runs one program to its end. The only place of the project that starts programs: an argument vector, never a shell
 * string; the environment given in full.
 * @throws AslError TOOL_MISSING when there is no such program; any exit status is a result, not an error
 */
export async function run(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  const [program, ...args] = argv
  if (program === undefined) throw new Error('run() wants at least a program')
  const clock = options.clock ?? systemClock
  const startedMs = clock.monotonicMs()
  const { stdin, stdout = 'capture', stderr = 'capture' } = options
  const child = spawn(program, args, {
    env: { ...options.env },
    cwd: options.cwd,
    detached: options.isGroup === true, // setsid(2): the child leads a new group
    stdio: [
      typeof stdin === 'number' ? stdin : stdin === undefined ? 'ignore' : 'pipe',
      stdout === 'capture' || typeof stdout === 'function' ? 'pipe' : stdout,
      stderr === 'capture' || typeof stderr === 'function' ? 'pipe' : stderr,
      ...Array<'pipe'>(options.extraPipes ?? 0).fill('pipe'),
      ...(options.hasMessageChannel === true ? (['ipc'] as const) : []),
    ],
  })
  const kept = { stdout: collect(child.stdout, stdout), stderr: collect(child.stderr, stderr) }
  let isTimedOut = false
  const kill = (): void => {
    if (options.isGroup === true && child.pid !== undefined) killTree(child.pid)
    else child.kill('SIGKILL')
  }
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          isTimedOut = true
          kill()
        }, options.timeoutMs)
  options.signal?.addEventListener('abort', kill)
  try {
    const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve([code, signal]))
    })
    child.once('spawn', () => options.onStart?.(child))
    if (stdin instanceof Uint8Array && child.stdin !== null) {
      child.stdin.on('error', () => {}) // a program may end before it has read all: EPIPE is its choice
      child.stdin.end(stdin)
    }
    const [code, signal] = await ended
    if (options.signal?.aborted === true) throw new AslError('INTERRUPTED', `Stopped while ${program} was running`)
    return {
      argv,
      exitCode: code ?? undefined,
      signal: signal ?? undefined,
      isTimedOut,
      stdout: Buffer.concat(kept.stdout),
      stderr: Buffer.concat(kept.stderr),
      wallMs: clock.monotonicMs() - startedMs,
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new AslError('TOOL_MISSING', `Cannot run ${program}: there is no such program`, {
        hint: "'asl doctor' lists what is missing and how to get it.",
        cause: error,
      })
    }
    throw error
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', kill)
  }
}

/**
 * Runs a helper program that must succeed and returns what it printed.
 * @throws AslError TOOL_MISSING; CAPTURE_FAILED with the end of its standard error
 */
export async function runTool(argv: readonly string[], options: RunOptions): Promise<Buffer> {
  const result = await run(argv, options)
  if (result.exitCode === 0) return result.stdout
  const said = result.stderr.toString('utf8').trim().split('\n').slice(-4).join('; ')
  throw new AslError('CAPTURE_FAILED', `${argv.join(' ')} ${describeEnd(result)}${said === '' ? '' : `: ${said}`}`)
}

export function describeEnd(result: Pick<RunResult, 'exitCode' | 'signal' | 'isTimedOut'>): string {
  if (result.isTimedOut) return 'ran out of time'
  if (result.signal !== undefined) return `was ended by ${result.signal}`
  return `ended with status ${result.exitCode}`
}

/** The exit status a shell would show: 128 + signal number for a program that a signal ended. */
export function shellStatus(result: Pick<RunResult, 'exitCode' | 'signal'>): number {
  if (result.signal !== undefined) return 128 + (constants.signals[result.signal] ?? 0)
  return result.exitCode ?? 1
}

function collect(stream: NodeJS.ReadableStream | null, sink: unknown): Buffer[] {
  const kept: Buffer[] = []
  let size = 0
  stream?.on('data', (chunk: Buffer) => {
    if (typeof sink === 'function') return sink(chunk)
    size += chunk.length
    if (size <= CAPTURE_LIMIT_BYTES) kept.push(chunk)
  })
  stream?.on('error', (error: unknown) => {
    kept.push(Buffer.from(`[stream broke: ${messageOf(error)}]`))
  })
  return kept
}
