import { readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { Worker } from 'node:worker_threads'
import { isAslError, messageOf } from '../../core/mod.ts'
import { checkCall, errnoOf, openEventFd, type RunResult, run, systemCall } from '../../sys/mod.ts'
import { startOfRun } from './start-of-run.ts'
import { setState, type WatchThread } from './watch-loop.ts'
import { WATCH_STATE, type WatchNews, type WatchOrder, type WatchRequest } from './watch-protocol.ts'

/**
 * The watcher: first process of a pid namespace, started by `fanotify-observer.ts`. Starts the command in a mount
 * namespace of its own, passes signals on, collects orphans, and waits until the namespace is empty. Another thread,
 * `watch-loop.ts`, answers the kernel meanwhile.
 */
const CONTROL_FD = 3
/** What an eventfd counts up by. */
const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])

const order = JSON.parse(readLine(CONTROL_FD)) as WatchOrder
const control = new Socket({ fd: CONTROL_FD, readable: true, writable: true })
control.on('error', () => {}) // who asked is gone: nobody to tell
control.once('close', endAll)
const tell = (news: WatchNews): void => void control.write(`${JSON.stringify(news)}\n`)

try {
  tell(await watchCommand())
} catch (error) {
  if (isAslError(error, 'TOOL_MISSING')) tell({ kind: 'missing', program: order.argv[0] ?? '' })
  else tell({ kind: 'refused', reason: messageOf(error) })
}
control.end()

async function watchCommand(): Promise<WatchNews> {
  const shared: WatchThread = {
    order,
    state: new Int32Array(new SharedArrayBuffer(4)),
    start: new BigInt64Array(new SharedArrayBuffer(8)),
    overFd: openEventFd(),
  }
  const thread = new Worker(new URL('./watch-thread.ts', import.meta.url), {
    workerData: shared,
    trackUnmanagedFds: false, // events and handles bring descriptors that Node did not open
  })
  const broken = new Promise<never>((_, reject) => thread.once('error', reject))
  const reaches = (state: number): Promise<unknown> => Promise.race([stateReached(shared.state, state), broken])

  await reaches(WATCH_STATE.ready)
  enterOwnMountNamespace()
  setState(shared.state, WATCH_STATE.unshared)
  await reaches(WATCH_STATE.marked)
  shared.start[0] = startOfRun(`${order.resultPath}.start`)
  try {
    return await Promise.race([runCommand(), broken])
  } finally {
    writeSync(shared.overFd, ONE)
    await reaches(WATCH_STATE.written)
  }
}

async function stateReached(state: Int32Array<SharedArrayBuffer>, wanted: number): Promise<void> {
  for (let now = Atomics.load(state, 0); now !== wanted; now = Atomics.load(state, 0)) {
    await Atomics.waitAsync(state, 0, now).value
  }
}

/** Of this thread alone, and of what it starts: the answering thread stays where nothing is marked. */
function enterOwnMountNamespace(): void {
  const CLONE_NEWNS = 0x20000
  const MS_REC = 0x4000
  const MS_SLAVE = 0x80000
  checkCall('unshare', systemCall('unshare')(CLONE_NEWNS))
  checkCall('mount', systemCall('mount')(null, '/', null, MS_REC | MS_SLAVE, null))
}

async function runCommand(): Promise<WatchNews> {
  process.umask(order.umask)
  let pid = 0
  let isTimedOut = false
  let isOutlived = false
  const orphans = collectOrphans(() => pid)
  const timer =
    order.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          isTimedOut = true
          endAll()
        }, order.timeoutMs)
  forwardSignals(() => pid)
  let result: RunResult
  try {
    result = await run(order.argv, {
      env: order.env,
      cwd: order.cwd,
      stdin: 0,
      stdout: 'inherit',
      stderr: 'inherit',
      onStart: child => {
        pid = child.pid ?? 0
      },
    })
  } catch (error) {
    clearTimeout(timer)
    orphans.stop()
    throw error
  }
  const { exitCode, signal, wallMs } = result
  pid = 0
  const linger = setTimeout(() => {
    isOutlived = true
    endAll()
  }, order.lingerMs)
  await orphans.none()
  clearTimeout(linger)
  clearTimeout(timer)
  return { kind: 'ended', exitCode, signal, isTimedOut, isOutlived, wallMs }
}

/** Everything in this pid namespace but ourselves. */
function endAll(): void {
  try {
    process.kill(-1, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

/** Waits for what was left to the first process of the namespace, without taking the command's end from Node. */
function collectOrphans(commandPid: () => number): { none(): Promise<void>; stop(): void } {
  const WEXITED = 4
  const WNOHANG = 1
  const WNOWAIT = 0x1000000
  const PID_OFFSET = 16
  const waitid = systemCall('waitid')
  const wait4 = systemCall('wait4')
  const info = Buffer.alloc(128)
  let onNone: (() => void) | undefined
  const collect = (): void => {
    for (;;) {
      info.fill(0)
      const result = waitid(0, 0, info, WEXITED | WNOHANG | WNOWAIT)
      if (result === -constants.errno.ECHILD) {
        onNone?.()
        return
      }
      const pid = result < 0 ? 0 : info.readInt32LE(PID_OFFSET)
      if (pid === 0) return
      if (pid === commandPid()) {
        setImmediate(collect) // Node is about to collect it
        return
      }
      wait4(pid, null, WNOHANG, null)
    }
  }
  process.on('SIGCHLD', collect)
  return {
    none: () =>
      new Promise(resolve => {
        onNone = () => {
          process.off('SIGCHLD', collect)
          resolve()
        }
        collect()
      }),
    stop: () => void process.off('SIGCHLD', collect),
  }
}

function forwardSignals(pid: () => number): void {
  let text = ''
  control.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) {
      const { signal } = JSON.parse(line) as WatchRequest
      if (pid() > 0) process.kill(pid(), signal)
    }
  })
  control.unref()
}

function readLine(fd: number): string {
  const bytes: number[] = []
  const one = Buffer.alloc(1)
  while (readSync(fd, one, 0, 1, null) === 1 && one[0] !== 0x0a) bytes.push(one[0] as number)
  return Buffer.from(bytes).toString()
}
