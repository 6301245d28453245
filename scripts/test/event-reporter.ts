/** A reporter for `node --test-reporter`: one JSON line for each test that starts or ends, for `run-file.ts` to read. */

import type { TestEvent } from 'node:test/reporters'
import { inspect } from 'node:util'

export type TestLine =
  | { readonly kind: 'start'; readonly id: string; readonly name: string }
  | {
      readonly kind: 'end'
      readonly id: string
      readonly name: string
      readonly state: 'passed' | 'failed' | 'skipped'
      readonly ms: number
      /** `path:line` of the test. */
      readonly at: string
      /** Of a skipped test: why. */
      readonly reason?: string
      /** Of a failed test: the error with its stack and its difference. */
      readonly error?: string
    }
  | { readonly kind: 'done' }

/** Of each test that has started: its name behind those of the tests and suites around it. */
type Names = Map<number, string>

export default async function* events(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const names: Names = new Map()
  for await (const event of source) {
    const line = lineOf(event, names)
    if (line !== undefined) yield `${JSON.stringify(line)}\n`
  }
}

function lineOf(event: TestEvent, names: Names): TestLine | undefined {
  if (event.type === 'test:dequeue') {
    const { testId, parentId, name } = event.data
    const parent = parentId === undefined ? undefined : names.get(parentId)
    const fullName = parent === undefined ? name : `${parent} › ${name}`
    names.set(testId, fullName)
    return { kind: 'start', id: String(testId), name: fullName }
  }
  if (event.type === 'test:summary') return { kind: 'done' }
  if (event.type !== 'test:complete') return undefined
  const { data } = event
  if (data.details.type === 'suite' && data.details.passed) return undefined
  const failure = data.details.error as (Error & { readonly failureType?: string }) | undefined
  const common = {
    kind: 'end',
    id: String(data.testId),
    name: names.get(data.testId) ?? data.name,
    ms: data.details.duration_ms,
    at: `${data.file ?? '?'}:${data.line ?? 0}`,
  } as const
  if (data.skip !== undefined && data.skip !== false) {
    return { ...common, state: 'skipped', reason: typeof data.skip === 'string' ? data.skip : 'no reason given' }
  }
  if (data.details.passed || data.todo !== undefined) return { ...common, state: 'passed' }
  // A parent fails with its children; they have said why.
  if (failure?.failureType === 'subtestsFailed') return undefined
  return { ...common, state: 'failed', error: inspect(failure?.cause ?? failure, { depth: 8, maxStringLength: 4000 }) }
}
