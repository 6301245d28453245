import { closeSync, lstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { AslError } from '../../core/mod.ts'
import { errnoOf, fileFactsReader, findTool, run, TOOL_ENV } from '../../sys/mod.ts'
import { openContentSource } from './content.ts'
import { openDigestCache } from './digest-cache.ts'
import { openEagerReads } from './eager-reads.ts'
import { excluder } from './exclusion.ts'
import { openLedger } from './ledger.ts'
import { openLinePipe } from './line-pipe.ts'
import { isKernelPath } from './mounts.ts'
import type { CommandOrder, ObservedRun, ObserveOptions, Reason } from './observation.ts'
import { pathBytes, pathText, type RawPath, rawPath } from './raw-path.ts'
import { startOfRun } from './start-of-run.ts'
import { openStraceActs, type StraceSink } from './strace-acts.ts'
import { joinStraceLines } from './strace-lines.ts'

/** Every call that opens, runs, names or describes a file, that starts a process, or that asks the network. */
const CALLS = [
  '?open openat ?openat2 ?creat open_by_handle_at execve execveat',
  'chdir fchdir chroot pivot_root mount unshare ?fork ?vfork clone ?clone3',
  '?rename ?renameat renameat2 ?link linkat ?unlink unlinkat ?rmdir ?mkdir mkdirat ?symlink symlinkat ?mknod mknodat',
  'truncate ?chmod fchmod fchmodat ?fchmodat2 ?chown ?lchown fchown fchownat ?utime ?utimes utimensat ?futimesat',
  'setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr socket bind connect io_uring_setup',
]
  .join(' ')
  .replaceAll(' ', ',')

/** What an io_uring submits is no call of its own: its users are told that the kernel has none, and fall back. */
const STRACE = [
  ...['-f', '--seccomp-bpf', '-y', '-z', '-a', '0', '-e', 'quiet=attach,personality', '-e', 'signal=none'],
  ...['-e', 'inject=io_uring_setup:error=ENOSYS'],
]

/** Why strace cannot be used here, or `undefined` when it can. */
export async function whyNoStrace(): Promise<string | undefined> {
  const strace = findTool('strace')
  if (strace === undefined) return 'strace is missing'
  const argv = [strace, ...STRACE, '-e', `trace=${CALLS}`, '-o', '/dev/null', '--', '/bin/true']
  const result = await run(argv, { env: TOOL_ENV })
  if (result.exitCode === 0 && result.stderr.length === 0) return undefined
  return `strace does not work here: ${result.stderr.toString().trim().split('\n')[0] ?? `status ${result.exitCode}`}`
}

/**
 * Runs the command under strace. Needs no privilege; privileges that programs would gain (sudo, file capabilities) are
 * lost, because a seccomp filter demands no_new_privs.
 * @throws AslError TOOL_MISSING when there is no such program
 */
export async function observeWithStrace(command: CommandOrder, options: ObserveOptions): Promise<ObservedRun> {
  const strace = findTool('strace') ?? 'strace'
  const inputReasons = new Set<Reason>()
  const outputReasons = new Set<Reason>()
  const isExcluded = excluder(options.excluded)
  const ledger = openLedger()
  const factsOf = fileFactsReader()
  const spoolPath = join(options.folder, 'spool')
  const spoolFd = openSync(spoolPath, 'w', 0o600)
  const startNs = startOfRun(join(options.folder, 'start'))
  const reads = openEagerReads({
    ledger,
    contents: openContentSource({ spoolFd, cache: openDigestCache(options.cachePath), factsOf }),
    factsOf,
    isExcluded,
    startNs,
    onLoss: reason => inputReasons.add(reason),
  })
  const special = new Set<string>()
  const alive = new Set<number>()
  let isNetworkSilent = true
  let isOutlived = false
  let isTimedOut = false
  let firstPid: number | undefined
  let linger: NodeJS.Timeout | undefined
  const endAll = (): void => {
    for (const pid of alive) tryKill(pid, 'SIGKILL')
  }
  const named = (path: RawPath, tell: () => void): void => {
    if (!isExcluded(path)) tell()
  }
  const sink: StraceSink = {
    started(pid) {
      firstPid ??= pid
      alive.add(pid)
      if (isTimedOut || isOutlived) tryKill(pid, 'SIGKILL')
    },
    ended(pid) {
      alive.delete(pid)
      if (pid !== firstPid || alive.size === 0) return
      linger = setTimeout(() => {
        isOutlived = true
        endAll()
      }, command.lingerMs)
    },
    opened(path, { flags }) {
      const changes = /O_WRONLY|O_RDWR|O_TRUNC/.test(flags)
      if (changes && flags.includes('O_EXCL') && flags.includes('O_CREAT'))
        named(path, () => ledger.created(path, false))
      else if (flags.includes('O_CREAT') && isMadeNow(path, startNs)) named(path, () => ledger.created(path, false))
      if (flags.includes('O_DIRECTORY')) reads.listed(path)
      else reads.opened(path, { changes, keepsContent: !flags.includes('O_TRUNC') })
    },
    executed(path) {
      if (isKernelPath(path)) special.add(`program ${pathText(path)}`)
      else reads.executed(path)
    },
    created: (path, isFolder) => named(path, () => ledger.created(path, isFolder)),
    removed: path => named(path, () => ledger.removed(path)),
    renamed(from, to) {
      if (isExcluded(from) && isExcluded(to)) return
      if (isExcluded(from)) ledger.created(to, isFolderNow(to))
      else if (isExcluded(to)) ledger.removed(from)
      else ledger.renamed(from, to, isFolderNow(to))
    },
    exchanged: (a, b) => named(a, () => ledger.exchanged(a, b)),
    linked(from, to) {
      reads.opened(from, { changes: false, keepsContent: true })
      named(to, () => ledger.created(to, false))
    },
    truncated(path, sizeBytes) {
      if (isExcluded(path)) return
      reads.opened(path, { changes: true, keepsContent: sizeBytes > 0 })
    },
    attributed: path => named(path, () => ledger.touched(path, 'attributes')),
    special: what => void special.add(what),
    blind() {
      inputReasons.add('tracer-refused')
      outputReasons.add('tracer-refused')
    },
    network() {
      isNetworkSilent = false
    },
  }
  const acts = openStraceActs(rawPath(command.cwd), sink)
  const log = openLinePipe(join(options.folder, 'strace.log'), joinStraceLines(acts.take))
  let stopSignals: (() => void) | undefined
  const timer =
    command.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          isTimedOut = true
          endAll()
        }, command.timeoutMs)
  const before = process.umask(command.umask)
  const running = run([strace, ...STRACE, '-e', `trace=${CALLS}`, '-o', log.path, '--', ...command.argv], {
    env: command.env,
    cwd: command.cwd,
    ...(command.stdin === undefined ? {} : { stdin: command.stdin }),
    stdout: command.onStdout,
    stderr: command.onStderr,
    onStart: () => {
      stopSignals = command.onSignal?.(signal => {
        if (firstPid !== undefined) tryKill(firstPid, signal)
      })
    },
  })
  process.umask(before)
  try {
    const result = await running.finally(log.finish)
    acts.finish()
    if (firstPid === undefined) {
      throw new AslError('TOOL_MISSING', `Cannot run ${command.argv[0]}: there is no such program`)
    }
    if (isOutlived) for (const reasons of [inputReasons, outputReasons]) reasons.add('process-outlived')
    const { special: devices, ...seen } = reads.finish()
    for (const path of devices) special.add(pathText(path))
    return {
      end: { exitCode: result.exitCode, signal: result.signal, isTimedOut, wallMs: result.wallMs },
      observation: {
        ...seen,
        observer: 'strace',
        startNs,
        names: ledger.summary(),
        special: [...special].sort(),
        inputReasons: [...inputReasons].sort(),
        outputReasons: [...outputReasons].sort(),
        isNetworkSilent,
        spoolPath,
      },
    }
  } finally {
    clearTimeout(timer)
    clearTimeout(linger)
    stopSignals?.()
    closeSync(spoolFd)
  }
}

/** True when the file that is there was made during the run, or is gone again already. */
function isMadeNow(path: RawPath, startNs: bigint): boolean {
  const stat = lstatSync(pathBytes(path), { bigint: true, throwIfNoEntry: false })
  return stat === undefined || stat.birthtimeNs >= startNs
}

function isFolderNow(path: RawPath): boolean {
  return lstatSync(pathBytes(path), { throwIfNoEntry: false })?.isDirectory() === true
}

function tryKill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH' && errnoOf(error) !== 'EPERM') throw error
  }
}
