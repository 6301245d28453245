/** A world for a verb that keeps what is printed and said. */
import { join } from 'node:path'
import type { Context } from '../../src/cli/mod.ts'
import { systemClock } from '../../src/sys/mod.ts'

export interface FakeContext extends Context {
  readonly printed: string[]
  readonly said: string[]
}

export function fakeContext(more: Partial<Context> = {}): FakeContext {
  const printed: string[] = []
  const said: string[] = []
  return {
    env: {},
    cwd: '/',
    clock: systemClock,
    isTerminal: false,
    projectRoot: join(import.meta.dirname, '..', '..'),
    signal: new AbortController().signal,
    print: line => void printed.push(line),
    write: bytes => void printed.push(Buffer.from(bytes).toString('utf8')),
    say: line => void said.push(line),
    printed,
    said,
    ...more,
  }
}
