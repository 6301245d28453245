import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeContext } from '../../tests/fakes/context.ts'
import { isAslError } from '../core/mod.ts'
import { runCommandLine } from './command-line.ts'
import type { Verb, VerbInput } from './verb.ts'
import type { VerbTable } from './verbs.ts'

const COPY: Verb = {
  name: 'copy',
  group: 'Store',
  summary: 'copy things',
  args: [
    { name: 'TARGET', summary: 'where to' },
    { name: 'SOURCE', summary: 'what', isVariadic: true, isOptional: true },
  ],
  options: [
    { flags: '--store DIR', summary: 'the store' },
    { flags: '--as KIND', summary: 'kind', choices: ['file', 'tree'], isRepeatable: true },
    { flags: '--limit COUNT', summary: 'most' },
    { flags: '--json', summary: 'as JSON' },
  ],
  run: async () => 3,
}

/** Runs words on a table with the one verb `copy` and gives what the verb was given. */
async function parse(...words: string[]): Promise<VerbInput> {
  let got: VerbInput | undefined
  const verb: Verb = {
    ...COPY,
    run: async (_, input) => {
      got = input
      return 0
    },
  }
  await runCommandLine(fakeContext(), words, tableOf(verb))
  assert.ok(got !== undefined)
  return got
}

function tableOf(verb: Verb): VerbTable {
  return { [verb.name]: { group: verb.group, summary: verb.summary, load: async () => verb } }
}

function messageFor(...words: string[]): Promise<string> {
  return parse(...words).then(
    () => assert.fail('was taken'),
    error => {
      assert.ok(isAslError(error, 'USAGE'), String(error))
      return error.message
    },
  )
}

test('the exit status is that of the verb', async () => {
  assert.equal(await runCommandLine(fakeContext(), ['copy', 'x'], tableOf(COPY)), 3)
})

test('options may follow arguments', async () => {
  const input = await parse('copy', 'there', 'a', 'b', '--json', '--store', '/s')
  assert.equal(input.arg('TARGET'), 'there')
  assert.deepEqual(input.args('SOURCE'), ['a', 'b'])
  assert.equal(input.flag('json'), true)
  assert.equal(input.text('store'), '/s')
})

test('words after "--" are arguments, whatever they look like', async () => {
  const input = await parse('copy', '--store', '/s', 'there', '--', 'prog', '--json', '--', '-x')
  assert.deepEqual(input.args('SOURCE'), ['prog', '--json', '--', '-x'])
  assert.equal(input.flag('json'), false)
})

test('a repeatable option keeps every value, and its choices hold for each', async () => {
  assert.deepEqual((await parse('copy', 'x', '--as', 'file', '--as=tree')).texts('as'), ['file', 'tree'])
  assert.match(await messageFor('copy', 'x', '--as', 'file', '--as', 'folder'), /folder.*file, tree/)
})

test('an unknown verb or option names the nearest one', async () => {
  assert.equal(await messageFor('cpoy'), 'Unknown verb "cpoy"; did you mean "copy"?')
  assert.equal(await messageFor('frobnicate'), 'Unknown verb "frobnicate"')
  assert.equal(await messageFor('toString'), 'Unknown verb "toString"')
  assert.equal(await messageFor('--verson'), 'Unknown option "--verson"; did you mean "--version"?')
  assert.equal(await messageFor('copy', 'x', '--stoer=/s'), 'asl copy has no option --stoer; did you mean "--store"?')
  assert.equal(
    await messageFor('copy', 'x', 'ls', '--colour'),
    'asl copy has no option --colour; write "--" before words that are not for asl',
  )
})

test('what is missing or too much is named', async () => {
  assert.equal(await messageFor('copy'), 'asl copy wants TARGET')
  assert.equal(
    await messageFor('copy', 'x', '--store'),
    "Option '--store DIR' wants a value".replace("'--store DIR'", '--store <DIR>'),
  )
  const oneArg = tableOf({ ...COPY, args: [{ name: 'TARGET', summary: 'where to' }] })
  await assert.rejects(runCommandLine(fakeContext(), ['copy', 'a', 'b'], oneArg), {
    message: 'asl copy takes one argument, and more was given',
  })
})

test('tryNumber() takes whole numbers only', async () => {
  assert.equal((await parse('copy', 'x', '--limit', '12')).tryNumber('limit'), 12)
  const input = await parse('copy', 'x', '--limit', '1e9')
  assert.throws(() => input.tryNumber('limit'), /whole number, not "1e9"/)
})

test('--help lists the verbs by group, and help of a verb lists its arguments and options', async () => {
  const overview = fakeContext()
  assert.equal(await runCommandLine(overview, [], tableOf(COPY)), 0)
  assert.match(overview.printed.join('\n'), /Store:\n +copy +copy things/)
  const one = fakeContext()
  assert.equal(await runCommandLine(one, ['copy', '--help'], tableOf(COPY)), 0)
  assert.match(one.printed.join('\n'), /TARGET[\s\S]*--store <DIR>/)
})

test('--version prints the version of package.json', async () => {
  const context = fakeContext()
  await runCommandLine(context, ['--version'], {})
  assert.match(context.printed.join(''), /^asl \d+\.\d+\.\d+$/)
})
