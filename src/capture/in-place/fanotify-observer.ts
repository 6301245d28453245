import { readFileSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import { AslError } from '../../core/mod.ts'
import { errnoOf, findTool, openFanotify, type RunOptions, run, TOOL_ENV } from '../../sys/mod.ts'
import type { CommandOrder, ObservedRun, ObserveOptions } from './observation.ts'
import { decodeWatchResult, type WatchNews, type WatchOrder } from './watch-protocol.ts'

/** Why fanotify cannot be used here, or `undefined` when it can. */
export function whyNoFanotify(): string | undefined {
  if (process.getuid?.() !== 0) return 'fanotify wants root'
  if (findTool('unshare') === undefined) return 'unshare (package util-linux) is missing'
  try {
    openFanotify('permission').close()
    openFanotify('name').close()
    return undefined
  } catch (error) {
    return `the kernel refuses fanotify: ${errnoOf(error) ?? String(error)}`
  }
}

/**
 * Runs the command in a pid and mount namespace of its own, watched by fanotify (`watch.ts`). Root only.
 * @throws AslError TOOL_MISSING when there is no such program; HOST_UNSUPPORTED when the machine refuses
 */
export async function observeWithFanotify(command: CommandOrder, options: ObserveOptions): Promise<ObservedRun> {
  const order: WatchOrder = {
    argv: command.argv,
    env: command.env,
    cwd: command.cwd,
    umask: command.umask,
    timeoutMs: command.timeoutMs,
    lingerMs: command.lingerMs,
    excluded: options.excluded,
    cachePath: options.cachePath,
    spoolPath: join(options.folder, 'spool'),
    resultPath: join(options.folder, 'watched.json'),
  }
  const watcher = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'slave']
  const program = [process.execPath, join(import.meta.dirname, 'watch.ts')]
  let news: WatchNews | undefined
  let stopSignals: (() => void) | undefined
  const result = await run([...watcher, '--', ...program], {
    env: watcherEnvironment(),
    ...(command.stdin === undefined ? {} : { stdin: command.stdin }),
    stdout: command.onStdout,
    stderr: command.onStderr,
    extraPipes: 1,
    onStart: child => {
      const control = controlOf(child)
      control.write(`${JSON.stringify(order)}\n`)
      onLines(control, line => {
        news = JSON.parse(line) as WatchNews
      })
      stopSignals = command.onSignal?.(signal => void control.write(`${JSON.stringify({ signal })}\n`))
    },
  }).finally(() => stopSignals?.())
  if (news?.kind === 'missing') {
    throw new AslError('TOOL_MISSING', `Cannot run ${news.program}: there is no such program`)
  }
  if (news?.kind !== 'ended') {
    const reason = news?.reason ?? `the watcher ended with status ${result.exitCode ?? result.signal}`
    throw new AslError('HOST_UNSUPPORTED', `Cannot watch the command: ${reason}`, {
      hint: 'Give --observer strace, or run as an ordinary user.',
    })
  }
  const { exitCode, signal, isTimedOut, isOutlived, wallMs } = news
  const watched = decodeWatchResult(readFileSync(order.resultPath, 'utf8'))
  const outlived = isOutlived ? (['process-outlived'] as const) : []
  return {
    end: { exitCode, signal, isTimedOut, wallMs },
    observation: {
      ...watched,
      observer: 'fanotify',
      inputReasons: [...watched.inputReasons, ...outlived],
      outputReasons: [...watched.outputReasons, ...outlived],
      isNetworkSilent: false,
      spoolPath: order.spoolPath,
    },
  }
}

/** The watcher finds its sources compiled where ours are; Node keeps a folder for each version below that one. */
function watcherEnvironment(): Readonly<Record<string, string>> {
  const folder = getCompileCacheDir()
  return folder === undefined ? TOOL_ENV : { ...TOOL_ENV, NODE_COMPILE_CACHE: dirname(folder) }
}

type StartedChild = Parameters<NonNullable<RunOptions['onStart']>>[0]

function controlOf(child: StartedChild): Duplex {
  const control = child.stdio[3] as Duplex | null | undefined
  if (!control) throw new Error('the watcher was started without a control pipe')
  control.on('error', () => {}) // the watcher's end is what counts, and is seen
  return control
}

function onLines(stream: Duplex, take: (line: string) => void): void {
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) take(line)
  })
}
