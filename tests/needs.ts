import { findTool } from '../src/sys/mod.ts'

/**
 * For `test(title, { skip: needs('xorriso', 'cpio') }, …)`: runs the test where the programs are, and elsewhere skips it
 * with the reason that the runner and CI understand.
 */
export function needs(...programs: readonly string[]): string | false {
  const missing = programs.filter(program => findTool(program) === undefined)
  return missing.length === 0 ? false : `missing program: ${missing.join(', ')}`
}

/** For tests that only root can run. */
export function needsRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'needs root'
}
