/** The speed classes of the tests: which files, how many at once, how long all of them may take together. */
import { globSync } from 'node:fs'

export interface TestClass {
  readonly name: 'unit' | 'integration' | 'boot'
  readonly patterns: readonly string[]
  /** Integration and boot tests own the machine while they run: one file at a time. */
  readonly filesAtOnce: number
  /** One file that hangs must not take the time of all others. */
  readonly fileLimitMs: number
  /** With the checks before them the limits stay under the hour that the whole of `make test` may take. */
  readonly limitMs: number
}

const MINUTE_MS = 60_000

export const TEST_CLASSES: readonly TestClass[] = [
  {
    name: 'unit',
    patterns: ['src/**/*.test.ts', 'tests/*.test.ts', 'scripts/**/*.test.ts'],
    filesAtOnce: 2,
    fileLimitMs: 2 * MINUTE_MS,
    limitMs: 5 * MINUTE_MS,
  },
  {
    name: 'integration',
    patterns: ['tests/integration/**/*.test.ts'],
    filesAtOnce: 1,
    fileLimitMs: 20 * MINUTE_MS,
    limitMs: 30 * MINUTE_MS,
  },
  {
    name: 'boot',
    patterns: ['tests/boot/**/*.test.ts'],
    filesAtOnce: 1,
    fileLimitMs: 20 * MINUTE_MS,
    limitMs: 20 * MINUTE_MS,
  },
]

export function filesOf(testClass: TestClass, root: string): readonly string[] {
  return globSync([...testClass.patterns], { cwd: root }).sort()
}
