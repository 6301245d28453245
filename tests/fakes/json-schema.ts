/** The schemas that docs/reference/schemas/ publishes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Compile } from 'typebox/schema'

const FOLDER = join(import.meta.dirname, '..', '..', 'docs', 'reference', 'schemas')

export function checkAgainst(name: string, value: unknown): void {
  const schema = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as object
  const [isValid, errors] = Compile(schema).Errors(value)
  assert.deepEqual(isValid ? [] : errors, [])
}
