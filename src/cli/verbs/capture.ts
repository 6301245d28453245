import { basename, join, resolve } from 'node:path'
import {
  type CaptureHost,
  type CaptureRequest,
  type CaptureResult,
  captureCommand,
  captureFile,
  type FileClass,
  type Finding,
  type Observer,
  receiptId,
} from '../../capture/mod.ts'
import { AslError } from '../../core/mod.ts'
import { openStore } from '../../store/mod.ts'
import { shellStatus, TOOL_PATH, thisMachine } from '../../sys/mod.ts'
import { shellLine } from '../shell-line.ts'
import { storePathOf } from '../store-path.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'
import { versionOf } from '../version.ts'

const STRICT_STATUS = 2

export const verb: Verb = {
  name: 'capture',
  group: 'Capture',
  summary: 'run a command in place, and write a receipt of what it read and made',
  description:
    'Any shell command, run where it stands: files it reads become inputs, files it makes, changes, renames or ' +
    'removes become outputs, and the receipt under --outdir links them. Root watches with fanotify, everybody else ' +
    'with strace. Output, signals and the exit status are passed on. With --file it takes one file instead.\n\n' +
    'The command sees PATH, LC_ALL=C.UTF-8, TZ=UTC and SOURCE_DATE_EPOCH, and what --env adds: the receipt holds its ' +
    'whole environment.',
  args: [{ name: 'PROGRAM', summary: 'a program and its arguments, after --', isOptional: true, isVariadic: true }],
  options: [
    STORE_OPTION,
    { flags: '--cmd CMD', summary: 'the command, as /bin/sh takes it' },
    { flags: '--file F', summary: 'capture this file instead of a command' },
    { flags: '--outdir D', summary: 'where the receipt is written: RID.fer, RID.json, index.json' },
    {
      flags: '--artifact-inputs PATH',
      summary: 'a file or folder that is an input; again for more',
      isRepeatable: true,
    },
    {
      flags: '--root NAME=DIR',
      summary: 'a folder that is a tree before and after',
      isRepeatable: true,
      defaultText: '$ASL_CAPTURE_ROOTS',
    },
    { flags: '--input NAME=PATH', summary: 'an input under a name of its own', isRepeatable: true },
    {
      flags: '--output NAME=PATH',
      summary: 'an output that must be there, under a name of its own',
      isRepeatable: true,
    },
    { flags: '--env NAME[=VALUE]', summary: 'a variable for the command; without a value, yours', isRepeatable: true },
    { flags: '--stdin PATH', summary: 'standard input', defaultText: 'empty' },
    { flags: '--expect-exit N', summary: 'an exit status that is success', isRepeatable: true, defaultText: '0' },
    { flags: '--timeout S', summary: 'end the command after this many seconds' },
    { flags: '--linger S', summary: 'end processes that outlive the command by this many seconds', defaultText: '60' },
    { flags: '--step NAME', summary: 'the name of the step, for people', defaultText: 'the name of the folder D' },
    { flags: '--class CLASS', summary: 'with --file: where its copy goes', choices: ['binaries', 'scripts'] },
    {
      flags: '--observer HOW',
      summary: 'what watches',
      choices: ['fanotify', 'strace', 'walk'],
      defaultText: 'the best',
    },
    { flags: '--pty', summary: 'run on a terminal (not built in)' },
    { flags: '--strict', summary: 'exit 2 when there is any finding' },
    JSON_OPTION,
  ],
  async run(context, input) {
    if (input.flag('pty')) throw new AslError('CAPTURE_PTY_UNSUPPORTED', 'PTY support not built in')
    const storeFolder = storePathOf(context, input)
    const store = openStore(storeFolder)
    try {
      const host: CaptureHost = {
        store,
        storeFolder,
        tempFolder: join(store.location, 'tmp', 'capture'),
        executor: { name: 'asl-capture', version: versionOf(context.projectRoot) },
        machine: thisMachine(),
        clock: context.clock,
        // With --json, standard output holds nothing but the answer.
        onStdout: chunk => (input.flag('json') ? writeError(context, chunk) : context.write(chunk)),
        onStderr: chunk => writeError(context, chunk),
        onSignal: forwardedSignals,
      }
      return input.tryText('file') === undefined
        ? await runCommand(context, input, host)
        : runFile(context, input, host)
    } finally {
      store.close()
    }
  },
}

async function runCommand(context: Context, input: VerbInput, host: CaptureHost): Promise<number> {
  const request = requestOf(context, input)
  const result = await captureCommand(request, host)
  if (input.flag('json')) context.print(JSON.stringify(viewOf(result)))
  for (const finding of result.findings) sayFinding(context, finding)
  const { observer, inputs, outputs } = result.trace
  if (result.isFailed) {
    context.say(`asl-capture: the command failed; both halves of its receipt lie in ${result.runFolder}`)
    context.say(`  again: ${shellLine(replayOf(request, host))}`)
    context.say(`  it saw ${[...Object.keys(request.env), 'SOURCE_DATE_EPOCH'].join(', ')}; --env NAME passes more on`)
  } else {
    const how = inputs === 'complete' && outputs === 'complete' ? 'complete' : 'partial'
    context.say(
      `asl-capture: receipt ${receiptId(result.receiptRef)}: ${result.inputs.length} inputs, ` +
        `${result.outputs.length} outputs, seen by ${observer}, ${how}; ${result.files?.json ?? ''}`,
    )
  }
  const status = shellStatus(result.end)
  if (status !== 0 || result.isFailed) return result.end.isTimedOut ? TIMEOUT_STATUS : status
  return input.flag('strict') && result.findings.length > 0 ? STRICT_STATUS : 0
}

/** What timeout(1) answers. */
const TIMEOUT_STATUS = 124

function runFile(context: Context, input: VerbInput, host: CaptureHost): number {
  refuse(input, ['cmd', 'artifact-inputs', 'root', 'input', 'output', 'env', 'stdin', 'expect-exit', 'timeout'])
  const outdir = resolve(context.cwd, input.text('outdir'))
  const result = captureFile(
    {
      path: resolve(context.cwd, input.text('file')),
      outdir,
      fileClass: input.tryText('class') as FileClass | undefined,
      sourceDateEpoch: epochOf(context, {}),
      step: input.tryText('step') ?? basename(outdir),
    },
    host,
  )
  if (input.flag('json')) {
    context.print(
      JSON.stringify({
        receipt_ref: result.receiptRef,
        rid: receiptId(result.receiptRef),
        ref: result.ref,
        size: result.sizeBytes,
        copy: result.copyPath,
        files: result.files,
      }),
    )
  }
  context.say(`asl-capture: receipt ${receiptId(result.receiptRef)}: ${result.ref}; ${result.copyPath}`)
  return 0
}

function requestOf(context: Context, input: VerbInput): CaptureRequest {
  const outdir = resolve(context.cwd, input.text('outdir'))
  const path = (given: string): string => resolve(context.cwd, given)
  const named = (option: string): Record<string, string> => namedPaths(option, input.texts(option), path)
  const stdin = input.tryText('stdin')
  const fromEnv = (context.env.ASL_CAPTURE_ROOTS ?? '').split(':').filter(text => text !== '')
  const { SOURCE_DATE_EPOCH: epoch, ...env } = environmentOf(context, input.texts('env'))
  return {
    argv: argvOf(input),
    cwd: context.cwd,
    env,
    sourceDateEpoch: epochOf(context, epoch === undefined ? {} : { SOURCE_DATE_EPOCH: epoch }),
    outdir,
    roots: { ...namedPaths('root', fromEnv, path), ...named('root') },
    inputs: named('input'),
    outputs: named('output'),
    artifactInputs: input.texts('artifact-inputs').map(path),
    stdin: stdin === undefined ? undefined : path(stdin),
    expectExit: input.texts('expect-exit').length === 0 ? [0] : input.texts('expect-exit').map(exitStatus),
    timeoutS: input.tryNumber('timeout'),
    lingerS: input.tryNumber('linger') ?? 60,
    step: input.tryText('step') ?? basename(outdir),
    observer: input.tryText('observer') as Observer | undefined,
  }
}

/** `--cmd S` is what /bin/sh takes; words after `--` are a program and its arguments as they stand. */
function argvOf(input: VerbInput): readonly string[] {
  const shellText = input.tryText('cmd')
  const words = input.args('PROGRAM')
  if ((shellText === undefined) === (words.length === 0)) {
    throw new AslError('USAGE', 'Give one command: --cmd CMD, or a program after --, or a file with --file')
  }
  return shellText === undefined ? words : ['/bin/sh', '-c', shellText]
}

function environmentOf(context: Context, given: readonly string[]): Record<string, string> {
  const env: Record<string, string> = { PATH: TOOL_PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC' }
  for (const text of given) {
    const equals = text.indexOf('=')
    const name = equals < 0 ? text : text.slice(0, equals)
    const value = equals < 0 ? context.env[name] : text.slice(equals + 1)
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new AslError('USAGE', `Not a variable: "${text}"`)
    if (value !== undefined) env[name] = value
  }
  return env
}

function epochOf(context: Context, env: Readonly<Record<string, string>>): number | undefined {
  const text = env.SOURCE_DATE_EPOCH ?? context.env.SOURCE_DATE_EPOCH
  if (text === undefined) return undefined
  if (!/^\d{1,12}$/.test(text)) {
    throw new AslError('USAGE', `SOURCE_DATE_EPOCH is "${text}", and wants whole seconds since 1970`)
  }
  return Number(text)
}

function namedPaths(option: string, given: readonly string[], path: (text: string) => string): Record<string, string> {
  const named: Record<string, string> = {}
  for (const text of given) {
    const equals = text.indexOf('=')
    if (equals <= 0 || equals === text.length - 1)
      throw new AslError('USAGE', `--${option} wants NAME=PATH, not "${text}"`)
    const name = text.slice(0, equals)
    if (named[name] !== undefined) throw new AslError('USAGE', `--${option} names "${name}" twice`)
    named[name] = path(text.slice(equals + 1))
  }
  return named
}

function exitStatus(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= 255) return Number(text)
  throw new AslError('USAGE', `--expect-exit wants 0 to 255, not "${text}"`)
}

function refuse(input: VerbInput, options: readonly string[]): void {
  const given = options.find(name =>
    name === 'cmd' || name === 'stdin' || name === 'timeout'
      ? input.tryText(name) !== undefined
      : input.texts(name).length > 0,
  )
  if (given !== undefined) throw new AslError('USAGE', `--${given} does not go with --file`)
}

function replayOf(request: CaptureRequest, host: CaptureHost): readonly string[] {
  const pairs = (option: string, named: Readonly<Record<string, string>>): string[] =>
    Object.entries(named).flatMap(([name, value]) => [`--${option}`, `${name}=${value}`])
  return [
    ...['asl-capture', '--store', host.storeFolder, '--outdir', request.outdir, '--step', request.step],
    ...pairs('root', request.roots),
    ...pairs('input', request.inputs),
    ...pairs('output', request.outputs),
    ...pairs('env', request.env),
    ...request.artifactInputs.flatMap(path => ['--artifact-inputs', path]),
    ...(request.stdin === undefined ? [] : ['--stdin', request.stdin]),
    ...request.expectExit.flatMap(status => (status === 0 ? [] : ['--expect-exit', String(status)])),
    '--',
    ...request.argv,
  ]
}

function viewOf(result: CaptureResult): Readonly<Record<string, unknown>> {
  const { end, trace } = result
  return {
    receipt_ref: result.receiptRef,
    run_ref: result.runRef,
    rid: receiptId(result.receiptRef),
    failed: result.isFailed,
    exit_code: end.exitCode,
    signal: end.signal,
    timed_out: end.isTimedOut,
    wall_ms: Math.round(end.wallMs),
    inputs: result.inputs.length,
    outputs: result.outputs.length,
    trace,
    findings: result.findings,
    files: result.files,
    run_folder: result.runFolder,
  }
}

function sayFinding(context: Context, finding: Finding): void {
  context.say(`asl-capture: ${finding.code}: ${finding.message}`)
  if (finding.hint !== undefined) context.say(`  ${finding.hint}`)
}

function writeError(context: Context, chunk: Buffer): void {
  if (context.writeError !== undefined) context.writeError(chunk)
  else context.say(chunk.toString('utf8').replace(/\n$/, ''))
}

const FORWARDED = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT', 'SIGINT', 'SIGQUIT'] as const

/** What reaches us reaches the command; keys of a terminal reach it without our help. */
function forwardedSignals(deliver: (signal: NodeJS.Signals) => void): () => void {
  const fromKeys = process.stdin.isTTY === true ? ['SIGINT', 'SIGQUIT', 'SIGWINCH'] : []
  const listeners = FORWARDED.map(signal => {
    const listener = (): void => {
      if (!fromKeys.includes(signal)) deliver(signal)
    }
    process.on(signal, listener)
    return () => void process.off(signal, listener)
  })
  return () => {
    for (const stop of listeners) stop()
  }
}
