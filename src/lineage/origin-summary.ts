import type { Whence } from './whence-link.ts'

/** The end of a chain in a few words: where the content comes from. For lists of many files. */
export function originSummary({ links }: Whence): string {
  const afterLastStep = links.slice(links.findLastIndex(link => link.kind === 'step') + 1)
  const found = afterLastStep.find(link => ORIGINS.has(link.kind))
  switch (found?.kind) {
    case 'package':
      return `package ${found.name} ${found.version}`
    case 'archive':
    case 'artifact':
      return `input ${afterLastStep.find(link => link.kind === 'artifact')?.name ?? ''}`
    case 'overlay':
      return `overlay ${found.checkoutPath}`
    case 'made':
      return `step ${links.findLast(link => link.kind === 'step')?.step ?? ''}`
    case 'unknown':
      return `unknown: ${found.reason}`
    default:
      return `tree ${links.findLast(link => link.kind === 'tree')?.ref ?? ''}`
  }
}

const ORIGINS: ReadonlySet<string> = new Set(['package', 'archive', 'artifact', 'overlay', 'made', 'unknown'])
