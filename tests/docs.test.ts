/** The documents say what is there: commands, links, dependencies. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { VERBS } from '../src/cli/mod.ts'
import { aslCallOf, blocksOf, commandBlocks, DOCUMENT_PATTERNS } from './documented-commands.ts'

const ROOT = join(import.meta.dirname, '..')
const TARGETS = new Set(
  [...readFileSync(join(ROOT, 'Makefile'), 'utf8').matchAll(/^([a-z][a-z-]*):/gm)].map(match => match[1] as string),
)

const DEPENDENCY_KINDS = ['dependencies', 'optionalDependencies', 'devDependencies'] as const
type LockEntry = Readonly<Partial<Record<(typeof DEPENDENCY_KINDS)[number], Readonly<Record<string, string>>>>>
const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, LockEntry>>
}

/** What is wrong with a documented command line; empty when it could be typed. */
async function findingsOf(command: string): Promise<readonly string[]> {
  const make = /^(?:sudo )?make\s+(\S+)/.exec(command)?.[1]
  if (make !== undefined) return TARGETS.has(make) ? [] : [`the Makefile has no target ${make}`]
  const call = aslCallOf(command)
  if (call === undefined || ['--help', '--version'].includes(call.verb)) return []
  const verb = await VERBS[call.verb]?.load()
  if (verb === undefined) return [`there is no verb ${call.verb}`]
  const flags = new Set(['--help', ...(verb.options ?? []).map(({ flags }) => flags.split(' ')[0] as string)])
  return call.words
    .filter(word => word.startsWith('-'))
    .map(word => word.split('=')[0] as string)
    .filter(flag => !flags.has(flag))
    .map(flag => `asl ${call.verb} has no option ${flag}`)
}

test('every documented command has its verb, its options or its make target', async () => {
  const findings: string[] = []
  const blocks = commandBlocks(ROOT)
  assert.ok(blocks.length > 0)
  for (const { file, line, commands } of blocks) {
    for (const command of commands) {
      for (const finding of await findingsOf(command)) findings.push(`${file}:${line}: ${command}: ${finding}`)
    }
  }
  assert.deepEqual(findings, [])
})

test('commands whose verbs exist stand in blocks of the language sh, where they are checked', async () => {
  const findings: string[] = []
  for (const { file, line, commands } of commandBlocks(ROOT, 'text')) {
    const calls = commands.filter(command => /^(?:bin\/)?asl /.test(command))
    if (calls.length === 0) continue
    const unknown = await Promise.all(calls.map(findingsOf))
    if (unknown.every(found => found.length === 0)) findings.push(`${file}:${line}: make this block \`\`\`sh`)
  }
  assert.deepEqual(findings, [])
})

test('a wrong command is found: verb, option, target, and behind other programs', async () => {
  assert.deepEqual(await findingsOf('make nothing'), ['the Makefile has no target nothing'])
  assert.deepEqual(await findingsOf('bin/asl frobnicate x'), ['there is no verb frobnicate'])
  assert.deepEqual(await findingsOf('sudo unshare -n bin/asl doctor --colour=no | less'), [
    'asl doctor has no option --colour',
  ])
  assert.deepEqual(await findingsOf('asl-doctor --for build -- --colour'), [])
})

test('blocksOf() reads language, marks and commands, with continued lines joined', () => {
  const page = [
    'text',
    '```sh run',
    '# a comment',
    'make \\',
    '  image',
    '',
    'asl doctor',
    '```',
    '```text',
    'x',
    '```',
  ].join('\n')
  const [first, second] = blocksOf(page, 'x.md')
  assert.deepEqual(first, {
    file: 'x.md',
    line: 3,
    language: 'sh',
    marks: ['run'],
    commands: ['make image', 'asl doctor'],
  })
  assert.equal(second?.language, 'text')
})

test('every relative link of a document leads to a file', () => {
  const findings: string[] = []
  for (const file of globSync(DOCUMENT_PATTERNS, { cwd: ROOT }).sort()) {
    const text = readFileSync(join(ROOT, file), 'utf8').replace(/```[\s\S]*?```|`[^`\n]*`/g, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target) || target.startsWith('#')) continue
      if (!existsSync(join(ROOT, dirname(file), target.split('#')[0] as string))) findings.push(`${file}: ${target}`)
    }
  }
  assert.deepEqual(findings, [])
})

test('docs/dependencies.md has each dependency with its version and what comes with it, and no other', () => {
  const wanted = DEPENDENCY_KINDS.flatMap(kind =>
    Object.entries(lock.packages['']?.[kind] ?? {}).map(([name, version]) => `${name} ${version}: ${transitive(name)}`),
  )
  const page = readFileSync(join(ROOT, 'docs', 'dependencies.md'), 'utf8').split('\n## ')[0] as string
  const rows = [...page.matchAll(/^\| ([@a-z][^|]*) \| (\d[^|]*) \| [^|]* \| (\d+) \|/gm)]
  const listed = rows.flatMap(([, names = '', version = '', count = '']) =>
    names.split(', ').map(name => `${name} ${version}: ${count}`),
  )
  assert.deepEqual(listed.sort(), wanted.sort())
})

/** How many packages come with one, not counting those that are there for other platforms. */
function transitive(name: string, seen: Set<string> = new Set([name])): number {
  for (const next of Object.keys(lock.packages[`node_modules/${name}`]?.dependencies ?? {})) {
    if (seen.has(next)) continue
    seen.add(next)
    transitive(next, seen)
  }
  return seen.size - 1
}

test('no committed file names an archive or registry host', () => {
  // Spelled in parts, so that this file does not find itself.
  const hosts = ['deb.debian' + '.org', 'registry.npmjs' + '.org', 'archive.ubuntu' + '.com']
  const files = globSync(['*', '{src,scripts,tests,docs,recipes,overlays,dracut,bin,changes,examples}/**/*'], {
    cwd: ROOT,
    withFileTypes: true,
  })
  const findings = files
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => hosts.some(host => readFileSync(path, 'latin1').includes(host)))
  assert.deepEqual(findings, [])
})
