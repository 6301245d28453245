/** The rooms and their doors: who may import whom, checked in the sources themselves. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..')

/** Each room with the rooms it may import; `formats` stands on `core` alone, the rooms in the image never see the build side. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  sys: ['core'],
  formats: ['core'],
  store: ['core', 'sys'],
  capture: ['core', 'sys', 'store', 'formats'],
  sign: ['core', 'sys', 'store'],
  lineage: ['core', 'sys', 'store', 'formats'],
  remote: ['core', 'sys', 'store', 'sign'],
  authority: ['core', 'sys', 'store', 'sign', 'remote'],
  intake: ['core', 'sys', 'store', 'sign', 'remote'],
  boot: ['core', 'sys', 'store', 'capture', 'sign', 'lineage', 'remote', 'formats'],
  image: ['core', 'sys', 'store', 'capture', 'sign', 'lineage', 'remote', 'formats', 'boot'],
}

/** What only one room may touch: a pattern in the source, and that room. */
const RESERVED: readonly (readonly [pattern: RegExp, room: string, what: string])[] = [
  [/from 'node:child_process'/, 'sys', 'starts programs'],
  [/\bconsole\./, 'cli', 'prints'],
  [/\bprocess\.(exit|argv|env)\b/, 'cli', 'reads the command line and the environment, and exits'],
]

const sources = globSync('src/**/*.ts', { cwd: ROOT })
  .filter(path => !path.endsWith('.test.ts') && !path.endsWith('.conformance.ts'))
  .sort()

test('a room imports only the rooms below it, and only through their doors', () => {
  const findings: string[] = []
  for (const path of sources) {
    const room = path.split('/')[1] as string
    for (const [, target] of readFileSync(join(ROOT, path), 'utf8').matchAll(/from '(\.[^']+)'/g)) {
      const imported = normalize(join(dirname(path), target as string))
      const other = imported.split('/')[1] as string
      if (other === room) continue
      if (room !== 'cli' && MAY_IMPORT[room]?.includes(other) !== true) {
        findings.push(`${path} imports ${imported}: ${room} may import ${MAY_IMPORT[room]?.join(', ') || 'nothing'}`)
      }
      if (!imported.endsWith('/mod.ts')) findings.push(`${path} imports ${imported}: go through src/${other}/mod.ts`)
    }
  }
  assert.deepEqual(findings, [])
})

test('only its room starts programs, prints, or reads the environment', () => {
  const findings: string[] = []
  for (const path of sources) {
    const text = readFileSync(join(ROOT, path), 'utf8')
    for (const [pattern, room, what] of RESERVED) {
      if (path.split('/')[1] !== room && pattern.test(text)) findings.push(`${path}: only src/${room} ${what}`)
    }
  }
  assert.deepEqual(findings, [])
})
