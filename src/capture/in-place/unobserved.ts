import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../../sys/mod.ts'
import type { CommandOrder, ObservedRun, ObserveOptions } from './observation.ts'
import { startOfRun } from './start-of-run.ts'

/** Runs the command where nothing can watch it: what it read stays unknown, declared roots and outputs are looked at. */
export async function runUnobserved(command: CommandOrder, options: ObserveOptions): Promise<ObservedRun> {
  const spoolPath = join(options.folder, 'spool')
  closeSync(openSync(spoolPath, 'w', 0o600))
  const startNs = startOfRun(join(options.folder, 'start'))
  let stopSignals: (() => void) | undefined
  const before = process.umask(command.umask)
  const running = run(command.argv, {
    env: command.env,
    cwd: command.cwd,
    ...(command.stdin === undefined ? {} : { stdin: command.stdin }),
    stdout: command.onStdout,
    stderr: command.onStderr,
    ...(command.timeoutMs === undefined ? {} : { timeoutMs: command.timeoutMs }),
    onStart: child => {
      stopSignals = command.onSignal?.(signal => void child.kill(signal))
    },
  })
  process.umask(before)
  const { exitCode, signal, isTimedOut, wallMs } = await running.finally(() => stopSignals?.())
  return {
    end: { exitCode, signal, isTimedOut, wallMs },
    observation: {
      observer: 'walk',
      startNs,
      reads: new Map(),
      overwritten: [],
      listed: [],
      names: { touched: [], lost: [], temporary: [], moved: [], made: [] },
      special: [],
      inputReasons: ['tracer-refused'],
      outputReasons: ['tracer-refused'],
      isNetworkSilent: false,
      spoolPath,
    },
  }
}
