import { basename } from 'node:path'
import { type AslError, exitStatusOf, isAslError, messageOf } from '../core/mod.ts'
import { systemClock } from '../sys/mod.ts'
import { runCommandLine } from './command-line.ts'
import { enterNamespace } from './enter-namespace.ts'
import type { Context, Screen } from './verb.ts'
import type { VerbTable } from './verbs.ts'

/**
 * Runs the program that this process was started as, with the verbs it has, and sets its exit status. The seed's
 * program names are verbs: `asl-capture …` is `asl capture …`.
 * @param projectRoot the folder of recipes, overlays and sources; of the program's own files inside an image
 */
export async function start(verbs: VerbTable, projectRoot: string): Promise<void> {
  const program = process.env.ASL_PROGRAM ?? basename(process.argv[1] ?? 'asl')
  const given = process.argv.slice(2)
  const words = program.startsWith('asl-') ? [program.slice('asl-'.length), ...given] : given
  const context = contextOfProcess(projectRoot)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0) // the reader of a pipe has seen enough
    throw error
  })
  try {
    if (verbs[words[0] ?? '']?.isSandboxed === true && !words.includes('--help')) {
      enterNamespace(process.env, [process.execPath, ...process.argv.slice(1)])
    }
    process.exitCode = await runCommandLine(context, words, verbs)
  } catch (error) {
    process.exitCode = report(context, error, asksForJson(words))
  }
}

function contextOfProcess(projectRoot: string): Context {
  const abort = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort())
  return {
    env: process.env,
    cwd: process.cwd(),
    clock: systemClock,
    isTerminal: process.stderr.isTTY === true,
    projectRoot,
    signal: abort.signal,
    print: line => void process.stdout.write(`${line}\n`),
    write: bytes => void process.stdout.write(bytes),
    writeError: bytes => void process.stderr.write(bytes),
    say: line => void process.stderr.write(`${line}\n`),
    ...(process.stderr.isTTY === true && process.env.TERM !== 'dumb' ? { screen: standardError() } : {}),
  }
}

/** What stands after `--` belongs to the captured command. */
function asksForJson(given: readonly string[]): boolean {
  const end = given.indexOf('--')
  return given.slice(0, end < 0 ? undefined : end).includes('--json')
}

function standardError(): Screen {
  return { write: text => void process.stderr.write(text), columns: () => process.stderr.columns ?? 80 }
}

function report(context: Context, error: unknown, asJson: boolean): number {
  if (!isAslError(error)) {
    context.say(error instanceof Error ? (error.stack ?? error.message) : String(error))
    context.say('asl: this is a bug of asl; please report it with the lines above.')
    return 1
  }
  if (asJson) context.print(JSON.stringify({ error: errorView(error) }))
  context.say(`asl: ${error.message}`)
  if (error.cause !== undefined && !error.message.includes(messageOf(error.cause))) {
    context.say(`  because: ${messageOf(error.cause)}`)
  }
  if (error.hint !== undefined) context.say(`  ${error.hint}`)
  return exitStatusOf(error.code)
}

function errorView(error: AslError): Record<string, unknown> {
  return { code: error.code, message: error.message, hint: error.hint, details: error.details }
}
