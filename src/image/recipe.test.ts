import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AslError } from '../core/mod.ts'
import { parseRecipe } from './recipe.ts'

const RECIPE = readFileSync(join(import.meta.dirname, '..', '..', 'recipes', 'auth-host.yaml'), 'utf8')

function refusal(text: string): AslError {
  try {
    parseRecipe(text, 'x.yaml')
  } catch (error) {
    assert.ok(error instanceof AslError)
    assert.equal(error.code, 'RECIPE_INVALID')
    return error
  }
  assert.fail('the recipe was taken')
}

test('parseRecipe() takes the recipes of the project', () => {
  assert.equal(parseRecipe(RECIPE, 'auth-host.yaml').name, 'auth-host')
})

test('an unknown key is refused with its place and the nearest known one', () => {
  const line = RECIPE.split('\n').findIndex(text => text.startsWith('hostname:')) + 1
  const error = refusal(RECIPE.replace('hostname:', 'hostnam:'))
  assert.match(
    error.message,
    new RegExp(`x\\.yaml, line ${line}, column \\d+: key "hostnam" is not known; did you mean "hostname"\\?`),
  )
})

test('an unknown key of a nested map is held against the keys of that map', () => {
  assert.match(refusal(RECIPE.replace('  suite:', '  siute:')).message, /did you mean "suite"\?/)
})

test('everything that is wrong is said at once', () => {
  const error = refusal(
    RECIPE.replace('schema: 1', 'schema: 2').replace('architectures: [amd64]', 'architectures: [mips]'),
  )
  const findings = error.details?.findings as string[]
  assert.ok(findings.length >= 2, findings.join('\n'))
})

test('a missing key, a wrong type, broken YAML, aliases and two steps of one name are refused', () => {
  assert.match(refusal(RECIPE.replace(/^name:.*$/m, '')).message, /"name" is missing/)
  assert.match(refusal(RECIPE.replace(/^name:.*$/m, 'name: [a]')).message, /name/)
  assert.match(refusal(`${RECIPE}\n  : [`).message, /line \d+/)
  assert.match(refusal(`${RECIPE}\nname: twice\n`).message, /line \d+/)
  const step = "\nsteps:\n  - { name: a, run: ['true'] }\n  - { name: a, run: ['true'] }\n"
  assert.match(refusal(RECIPE + step).message, /"a" stands there twice/)
})

test('a recipe that expands aliases without end is refused', () => {
  const bomb = `a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n${RECIPE}`
  assert.throws(() => parseRecipe(bomb, 'x.yaml'))
})
