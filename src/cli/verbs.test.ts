import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fakeContext } from '../../tests/fakes/context.ts'
import { ERROR_CODES } from '../core/mod.ts'
import { errorPage, referencePages } from './reference.ts'
import { VERBS } from './verbs.ts'

const ROOT = fakeContext().projectRoot
const verbs = await Promise.all(
  Object.entries(VERBS).map(async ([key, entry]) => ({ key, entry, verb: await entry.load() })),
)

test('the table of verbs says what each verb says of itself', () => {
  for (const { key, entry, verb } of verbs) {
    assert.deepEqual([key, entry.group, entry.summary], [verb.name, verb.group, verb.summary])
  }
})

test('every file in verbs/ is in the table', () => {
  const files = globSync('*.ts', { cwd: join(import.meta.dirname, 'verbs') }).filter(path => !path.endsWith('.test.ts'))
  const listed = readFileSync(join(import.meta.dirname, 'verbs.ts'), 'utf8')
  assert.deepEqual(
    files.filter(path => !listed.includes(`'./verbs/${path}'`)),
    [],
  )
})

test('names in the tables have the form that parsing and completion lean on', () => {
  for (const { verb } of verbs) {
    assert.match(verb.name, /^[a-z][a-z-]*$/)
    assert.match(verb.summary, /^[a-z].*[^.]$/, `${verb.name}: one line, no full stop`)
    for (const { name, choices = [] } of verb.args ?? []) {
      assert.match(name, /^[A-Z][A-Z0-9-]*$/, verb.name)
      for (const choice of choices) assert.match(choice, /^[a-z0-9-]+$/)
    }
    for (const { flags, choices = [] } of verb.options ?? []) {
      assert.match(flags, /^--[a-z][a-z0-9-]*( [A-Z][A-Z0-9:=[\]-]*)?$/, verb.name)
      for (const choice of choices) assert.match(choice, /^[a-z0-9-]+$/)
    }
    const flags = (verb.options ?? []).map(option => option.flags.split(' ')[0])
    assert.deepEqual(flags, [...new Set(flags)], `${verb.name} has an option twice`)
  }
})

test('the reference pages are those that the tables give; `make reference` writes them', async () => {
  for (const [name, text] of Object.entries(await referencePages())) {
    const isFresh = readFileSync(join(ROOT, 'docs', 'reference', name), 'utf8') === text
    assert.ok(isFresh, `docs/reference/${name} is stale: run make reference`)
  }
})

test('the page of errors holds every code', () => {
  const page = errorPage()
  for (const code of Object.keys(ERROR_CODES)) assert.ok(page.includes(`\`${code}\``), code)
})
