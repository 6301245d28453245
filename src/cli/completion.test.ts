import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../tests/needs.ts'
import { run, TOOL_ENV } from '../sys/mod.ts'
import { bashCompletion, fishCompletion, zshCompletion } from './completion.ts'
import type { Verb } from './verb.ts'

const BUILD: Verb = {
  name: 'build',
  group: 'Build',
  summary: "build an image, don't ask",
  args: [{ name: 'RECIPE', summary: 'the recipe' }],
  options: [
    { flags: '--arch ARCH', summary: 'machine: one of two', choices: ['amd64', 'arm64'] },
    { flags: '--json', summary: 'print [JSON]' },
  ],
  run: async () => 0,
}
const SHELLS: Verb = {
  name: 'completion',
  group: 'Host',
  summary: 'complete',
  args: [{ name: 'SHELL', summary: 'which', choices: ['bash', 'zsh'] }],
  run: async () => 0,
}
const VERBS = [BUILD, SHELLS]

async function bash(...words: string[]): Promise<string[]> {
  const complete = `COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _asl; printf '%s\\n' "\${COMPREPLY[@]}"`
  const script = `${bashCompletion(VERBS)}\n${complete}`
  const result = await run(['bash', '-c', script, 'bash', 'asl', ...words], { env: TOOL_ENV })
  assert.equal(result.stderr.toString('utf8'), '')
  return result.stdout.toString('utf8').split('\n').filter(Boolean)
}

test('bash completes verbs, options, the values of an option and of an argument', async () => {
  assert.deepEqual(await bash('bu'), ['build'])
  assert.deepEqual(await bash('build', '--'), ['--arch', '--json', '--help'])
  assert.deepEqual(await bash('build', '--arch', 'ar'), ['arm64'])
  assert.deepEqual(await bash('completion', 'b'), ['bash'])
  assert.deepEqual(await bash('build', 'recipes/'), [], 'left to the completion of file names')
})

test('zsh reads its script', { skip: needs('zsh') }, async () => {
  const script = `compdef() { :; }\n${zshCompletion(VERBS)}\nwhich _asl >/dev/null`
  const result = await run(['zsh', '-f', '-c', script], { env: TOOL_ENV })
  assert.deepEqual([result.exitCode, result.stderr.toString('utf8')], [0, ''])
})

test('fish completes verbs, options and the values of an option', { skip: needs('fish') }, async () => {
  const fish = async (line: string): Promise<string[]> => {
    const script = `${fishCompletion(VERBS)}\ncomplete -C ${JSON.stringify(line)}`
    const result = await run(['fish', '--no-config', '-c', script], { env: { ...TOOL_ENV, HOME: '/tmp' } })
    const lines = result.stdout.toString('utf8').split('\n')
    return lines.map(found => found.split('\t')[0] as string).filter(Boolean)
  }
  assert.deepEqual(await fish('asl bui'), ['build'])
  assert.deepEqual(await fish('asl build --arch a'), ['amd64', 'arm64'])
  assert.ok((await fish('asl build --')).includes('--json'))
})
