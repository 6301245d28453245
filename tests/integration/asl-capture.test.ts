/** `asl-capture` as its users meet it: from the command line, with a store on disk. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type CaptureRequest, captureCommand } from '../../src/capture/mod.ts'
import { decodeReceipt, parseReference, type Reference, referenceOf, TAG_RECEIPT } from '../../src/core/mod.ts'
import { initStore, loadReceipt, memoryStore, openStore } from '../../src/store/mod.ts'
import { type RunResult, run, systemClock, TOOL_ENV, thisMachine } from '../../src/sys/mod.ts'
import { commandBlocks } from '../documented-commands.ts'
import { needs, needsRoot } from '../needs.ts'

const PROJECT = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'asl-capture-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const skip = needs('strace')

interface World {
  readonly work: string
  readonly store: string
  readonly per: string
}

function world(name: string): World {
  const work = join(folder, name, 'work')
  const store = join(folder, name, 'store')
  mkdirSync(work, { recursive: true })
  initStore(store, { withViews: true }).close()
  writeFileSync(join(work, 'in'), 'hello\n')
  return { work, store, per: join(store, 'per') }
}

interface Answer {
  readonly rid: string
  readonly receipt_ref: Reference
  readonly failed: boolean
  readonly trace: {
    readonly observer: string
    readonly inputs: string
    readonly outputs: string
    readonly reasons: string[]
  }
  readonly findings: readonly { readonly code: string; readonly paths?: readonly string[] }[]
  readonly run_folder: string
}

async function capture(at: World, words: readonly string[], env: Record<string, string> = {}): Promise<RunResult> {
  const argv = [join(PROJECT, 'bin/asl-capture'), '--store', at.store, '--outdir', at.per, ...words]
  return run(argv, { env: { ...TOOL_ENV, SOURCE_DATE_EPOCH: '1700000000', ...env }, cwd: at.work })
}

async function answerOf(at: World, words: readonly string[], env: Record<string, string> = {}): Promise<Answer> {
  const result = await capture(at, ['--json', ...words], env)
  assert.notEqual(result.stdout.length, 0, result.stderr.toString())
  return JSON.parse(result.stdout.toString()) as Answer
}

function inputsOf(
  at: World,
  rid: string,
): readonly { readonly name: string; readonly role: string; readonly ref: string }[] {
  return JSON.parse(readFileSync(join(at.per, `${rid}.json`), 'utf8')).inputs
}

test('output and exit status of the command are passed on, and kept', { skip }, async () => {
  const at = world('passed-on')
  const result = await capture(at, ['--cmd', 'echo out; echo err >&2; exit 7', '--expect-exit', '7'])
  assert.equal(result.exitCode, 7)
  assert.equal(result.stdout.toString(), 'out\n')
  assert.match(result.stderr.toString(), /^err\n/)
  const [rid] = readdirSync(join(at.store, 'runs'))
  const [runId] = readdirSync(join(at.store, 'runs', rid!))
  const kept = join(at.store, 'runs', rid!, runId!)
  assert.deepEqual(readdirSync(kept).sort(), ['run.fer', 'run.json', 'stderr', 'stdout'])
  assert.equal(readFileSync(join(kept, 'stdout'), 'utf8'), 'out\n')
})

test('the receipt beside the store is the one in the store, and its index names it', { skip }, async () => {
  const at = world('receipt')
  const { rid, receipt_ref } = await answerOf(at, ['--step', 'copy', '--cmd', 'cat in > out'])
  const bytes = readFileSync(join(at.per, `${rid}.fer`))
  assert.equal(referenceOf(bytes, TAG_RECEIPT), receipt_ref)
  assert.deepEqual(JSON.parse(readFileSync(join(at.per, 'index.json'), 'utf8')), [
    { ref: receipt_ref, rid, step: 'copy' },
  ])
  const store = openStore(at.store)
  const { command, inputs, outputs } = loadReceipt(store, receipt_ref)
  assert.deepEqual(command.argv, ['/bin/sh', '-c', 'cat in > out'])
  for (const entry of [...inputs.entries, ...outputs.entries]) assert.ok(store.has(entry.ref), entry.name)
  assert.deepEqual(
    outputs.entries.map(({ name, role, size }) => ({ name, role, size })),
    [{ name: join(at.work, 'out'), role: 'file', size: 6 }],
  )
  store.close()
})

test('with named roots, two builders in different folders write the same receipt', { skip }, async () => {
  const answers: Answer[] = []
  for (const name of ['builder-one', 'builder-two-of-another-name']) {
    const at = world(name)
    mkdirSync(join(at.work, 'root'))
    writeFileSync(join(at.work, 'root/kept'), 'kept\n')
    const root = join(at.work, 'root')
    const argv = ['--root', `tree=${root}`, '--', '/bin/sh', '-c', `cd ${root} && cat kept > made && mkdir sub`]
    answers.push(await answerOf({ ...at, work: root }, argv, { TZ: name === 'builder-one' ? 'UTC' : 'Asia/Tokyo' }))
  }
  assert.equal(answers[0]!.receipt_ref, answers[1]!.receipt_ref)
  assert.deepEqual(answers[0]!.findings, [])
})

test('both observers write the same receipt', { skip: skip || needsRoot() }, async () => {
  const at = world('observers')
  const refs: string[] = []
  for (const observer of ['fanotify', 'strace']) {
    const { receipt_ref, trace } = await answerOf(at, [
      '--observer',
      observer,
      '--cmd',
      'sort in | cat > out; ls > /dev/null',
    ])
    assert.equal(trace.observer, observer)
    refs.push(receipt_ref)
    rmSync(join(at.work, 'out'))
  }
  assert.equal(refs[0], refs[1])
})

test('a failed command leaves both halves of its receipt under runs/, and nothing in the store', { skip }, async () => {
  const at = world('failed')
  const before = openStore(at.store)
  const position = before.state().logPosition
  before.close()
  const result = await capture(at, ['--cmd', 'cat in > out; exit 3'])
  assert.equal(result.exitCode, 3)
  assert.match(result.stderr.toString(), /again: asl-capture --store \S+/)
  const opened = openStore(at.store)
  assert.equal(opened.state().logPosition, position)
  opened.close()
  assert.ok(!existsSync(at.per) || readdirSync(at.per).length === 0)
  const [rid] = readdirSync(join(at.store, 'runs'))
  const [runId] = readdirSync(join(at.store, 'runs', rid!))
  const half = decodeReceipt(readFileSync(join(at.store, 'runs', rid!, runId!, 'receipt.fer')))
  assert.equal(half.run, undefined)
  assert.ok(decodeReceipt(readFileSync(join(at.store, 'runs', rid!, runId!, 'run.fer'))).run !== undefined)
})

test('a program that is not there, a missing output and a terminal are errors that say so', { skip }, async () => {
  const at = world('errors')
  const missing = await capture(at, ['--', 'no-such-program'])
  assert.equal(missing.exitCode, 10)
  const output = await capture(at, ['--json', '--output', 'image=never-made', '--cmd', 'true'])
  assert.equal(output.exitCode, 9)
  assert.equal(JSON.parse(output.stdout.toString()).error.code, 'CAPTURE_OUTPUT_MISSING')
  const pty = await capture(at, ['--pty', '--cmd', 'true'])
  assert.equal(pty.exitCode, 2)
  assert.match(pty.stderr.toString(), /PTY support not built in/)
  const both = await capture(at, ['--cmd', 'true', '--', 'true'])
  assert.equal(both.exitCode, 2)
})

test('what others may not read is named, and stored only when it is declared', { skip }, async () => {
  const at = world('private')
  const secret = join(at.work, 'secret')
  writeFileSync(secret, 'the secret\n', { mode: 0o600 })
  const ref = referenceOf('the secret\n')
  const seen = await answerOf(at, ['--cmd', 'cat secret > /dev/null; echo made > out'])
  assert.deepEqual(seen.findings.find(({ code }) => code === 'CAPTURE_PRIVATE_INPUT')?.paths, [secret])
  const isStored = (): boolean => {
    const store = openStore(at.store)
    try {
      return store.has(ref)
    } finally {
      store.close()
    }
  }
  assert.equal(isStored(), false)
  const declared = await answerOf(at, ['--input', 'key=secret', '--cmd', 'cat secret > /dev/null; echo made > out'])
  assert.equal(isStored(), true)
  assert.ok(inputsOf(at, declared.rid).some(({ name, ref: found }) => name === 'key' && found === ref))
})

test('receipts of earlier steps become inputs of a later one', { skip }, async () => {
  const at = world('earlier')
  const first = await answerOf(at, ['--cmd', 'cat in > middle'])
  const second = await answerOf(at, ['--artifact-inputs', at.per, '--cmd', 'cat middle > out'])
  const receipts = inputsOf(at, second.rid).filter(({ role }) => role === 'receipt')
  assert.deepEqual(
    receipts.map(({ name, ref }) => ({ name, ref })),
    [{ name: `per/${first.rid}.fer`, ref: first.receipt_ref }],
  )
})

test('a file is captured with a receipt of its own, and copied where its kind belongs', { skip }, async () => {
  const at = world('file')
  const script = join(at.work, 'tool')
  writeFileSync(script, '#!/bin/sh\necho hello\n', { mode: 0o755 })
  const result = await capture(at, ['--json', '--file', 'tool'])
  assert.equal(result.exitCode, 0, result.stderr.toString())
  const { receipt_ref, ref } = JSON.parse(result.stdout.toString())
  assert.equal(statSync(join(at.store, 'scripts/tool')).mode & 0o777, 0o755)
  const store = openStore(at.store)
  const { command, inputs, outputs } = loadReceipt(store, parseReference(receipt_ref))
  assert.equal(command.builtin, 'op:ingest')
  assert.deepEqual([inputs.entries[0]!.ref, outputs.entries[0]!.ref], [ref, ref])
  store.close()
  assert.equal((await capture(at, ['--file', '/bin/sh', '--class', 'scripts'])).exitCode, 2) // a link, no regular file
})

test('a command that changes nothing is a finding, which --strict makes an error', { skip }, async () => {
  const at = world('no-outputs')
  const { findings } = await answerOf(at, ['--cmd', 'true'])
  assert.ok(findings.some(({ code }) => code === 'CAPTURE_NO_OUTPUTS'))
  assert.equal((await capture(at, ['--strict', '--cmd', 'true'])).exitCode, 2)
})

test('signals reach the command, and its status comes back', { skip }, async () => {
  const at = world('signals')
  const argv = [
    join(PROJECT, 'bin/asl-capture'),
    '--store',
    at.store,
    '--outdir',
    at.per,
    '--expect-exit',
    '5',
    '--cmd',
  ]
  const result = await run(
    [...argv, 'trap "echo caught > out; exit 5" TERM; echo ready; while :; do sleep 0.05; done'],
    {
      env: TOOL_ENV,
      cwd: at.work,
      stdout: chunk => void (chunk.toString().includes('ready') && process.kill(pid, 'SIGTERM')),
      onStart: child => {
        pid = child.pid ?? 0
      },
    },
  )
  assert.equal(result.exitCode, 5, result.stderr.toString())
  assert.equal(readFileSync(join(at.work, 'out'), 'utf8'), 'caught\n')
})
let pid = 0

test('a time limit ends the command and all it has started', { skip }, async () => {
  const at = world('time-limit')
  const result = await capture(at, ['--timeout', '1', '--cmd', 'sleep 100 & sleep 100'])
  assert.equal(result.exitCode, 124)
  assert.ok(result.wallMs < 20_000)
})

test('a process that outlives the command by too long is ended, and makes the trace partial', { skip }, async () => {
  const at = world('linger')
  for (const observer of process.getuid?.() === 0 ? ['fanotify', 'strace'] : ['strace']) {
    const words = ['--observer', observer, '--linger', '1', '--cmd', 'sleep 100 & echo made > out']
    const { trace } = await answerOf(at, words)
    assert.deepEqual(trace.reasons, ['process-outlived'])
    assert.equal(trace.outputs, 'partial')
  }
})

test('where nothing can watch, the command runs all the same, and declared roots show what it did', {
  skip,
}, async () => {
  const at = world('unwatched')
  mkdirSync(join(at.work, 'root'))
  const { rid, trace, failed } = await answerOf(at, [
    '--observer',
    'walk',
    '--root',
    'tree=root',
    '--cmd',
    'echo made > root/out',
  ])
  assert.equal(failed, false)
  assert.deepEqual(trace.reasons, ['tracer-refused'])
  assert.deepEqual(trace.inputs, 'partial')
  const { inputs, outputs } = JSON.parse(readFileSync(join(at.per, `${rid}.json`), 'utf8'))
  assert.notEqual(inputs.find(({ name }: { name: string }) => name === 'tree').ref, outputs[0].ref)
})

test('a capture inside a capture sees its own command, and the outer one sees both', { skip }, async () => {
  const at = world('nested')
  const inner = `${join(PROJECT, 'bin/asl-capture')} --store ${at.store} --outdir ${at.per}/inner --cmd 'cat in > out'`
  const outer = await answerOf(at, ['--cmd', inner])
  assert.equal(outer.failed, false)
  const [innerRid] = readdirSync(join(at.per, 'inner'))
    .filter(name => name.endsWith('.fer'))
    .map(name => name.slice(0, -4))
  const names = JSON.parse(readFileSync(join(at.per, 'inner', `${innerRid}.json`), 'utf8')).inputs.map(
    ({ name }: { name: string }) => name,
  )
  assert.ok(names.includes(join(at.work, 'in')))
  assert.ok(inputsOf(at, outer.rid).some(({ name }) => name === join(at.work, 'in')))
})

test('a seeded root holds the receipts, the programs and a sealed store, the same bytes each time', {
  skip,
}, async () => {
  const at = world('seed')
  await capture(at, ['--cmd', 'cat in > out'])
  await capture(at, ['--file', 'in'])
  const hashes: string[] = []
  for (const name of ['one', 'two']) {
    const into = join(at.work, name)
    const argv = [join(PROJECT, 'bin/asl-admin'), 'seed', '--json', '--store', at.store, '--into', into]
    const result = await run(argv, { env: { ...TOOL_ENV, SOURCE_DATE_EPOCH: '1' } })
    assert.equal(result.exitCode, 0, result.stderr.toString())
    hashes.push(JSON.parse(result.stdout.toString()).root_hash)
    const personal = join(into, 'var/lib/asl/personal')
    assert.deepEqual(readdirSync(personal).sort(), ['.asl', 'binaries', 'per', 'scripts'])
    const store = openStore(personal)
    assert.equal([...store.references(TAG_RECEIPT)].length, 2)
    store.close()
  }
  assert.equal(hashes[0], hashes[1])
})

test('a capture needs no disk store: any store will do', { skip }, async () => {
  const at = world('memory')
  const request: CaptureRequest = {
    ...{ argv: ['/bin/sh', '-c', 'cat in > out'], cwd: at.work, env: { PATH: '/usr/bin:/bin' }, sourceDateEpoch: 0 },
    ...{ outdir: at.per, roots: {}, inputs: {}, outputs: {}, artifactInputs: [], stdin: undefined, expectExit: [0] },
    ...{ timeoutS: undefined, lingerS: 60, step: 'copy', observer: undefined },
  }
  const store = memoryStore()
  const result = await captureCommand(request, {
    ...{ store, storeFolder: join(at.work, 'store'), tempFolder: join(at.work, 'temp'), machine: thisMachine() },
    ...{
      executor: { name: 'asl-capture', version: 'test' },
      clock: systemClock,
      onStdout: () => {},
      onStderr: () => {},
    },
  })
  assert.ok(store.has(result.receiptRef) && store.has(result.runRef))
})

test('every command of the guide works as it stands there', {
  skip: skip || needs('make'),
  timeout: 300_000,
}, async () => {
  const work = join(folder, 'guide')
  mkdirSync(join(work, 'project'), { recursive: true })
  mkdirSync(join(work, 'tools'))
  writeFileSync(join(work, 'project/Makefile'), 'all:\n\techo made > result\n')
  writeFileSync(join(work, 'tools/install.sh'), '#!/bin/sh\n', { mode: 0o755 })
  writeFileSync(join(work, 'build-iso.sh'), '#!/bin/sh\ncp users out.iso\n', { mode: 0o755 })
  const blocks = commandBlocks(PROJECT).filter(({ file }) => file === 'docs/guide/capture.md')
  assert.ok(blocks.length >= 6)
  const script = blocks.flatMap(({ commands }) => commands).join('\n')
  const env = { ...TOOL_ENV, PATH: `${join(PROJECT, 'bin')}:${TOOL_ENV.PATH}` }
  const result = await run(['sh', '-eux', '-c', script], { env, cwd: work })
  assert.equal(result.exitCode, 0, `${result.stdout}${result.stderr}`)
  assert.ok(existsSync(join(work, 'root/var/lib/asl/personal/per/hello/index.json')))
  assert.ok(existsSync(join(work, 'history.svg')))
})
