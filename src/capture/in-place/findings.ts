import type { InputEntry, OutputEntry } from '../../core/mod.ts'
import type { ReadInputs } from './input-entries.ts'
import { hostPathsIn } from './naming.ts'
import type { Reason } from './observation.ts'
import { pathText, type RawPath } from './raw-path.ts'

/** Something about a capture that its user should know; exit 0 all the same, 2 with `--strict`. */
export interface Finding {
  readonly code: FindingCode
  readonly message: string
  readonly hint?: string
  readonly paths?: readonly string[]
}

export type FindingCode =
  | 'CAPTURE_HOST_PATH'
  | 'CAPTURE_NO_OUTPUTS'
  | 'CAPTURE_PARTIAL'
  | 'CAPTURE_PRIVATE_INPUT'
  | 'CAPTURE_CONTENT_LOST'
  | 'CAPTURE_EPOCH_UNSET'

export interface FindingsInput {
  readonly commandTexts: readonly string[]
  readonly roots: Readonly<Record<string, string>>
  readonly isEpochSet: boolean
  readonly inputs: readonly InputEntry[]
  readonly rootsBefore: readonly InputEntry[]
  readonly outputs: readonly OutputEntry[]
  readonly read: ReadInputs
  readonly reasons: readonly Reason[]
  readonly refusals: readonly string[]
}

export function findingsOf(facts: FindingsInput): readonly Finding[] {
  const findings: Finding[] = []
  const hostPaths = new Set([...facts.commandTexts, ...Object.values(facts.roots)].flatMap(hostPathsIn))
  if (hostPaths.size > 0) {
    findings.push({
      code: 'CAPTURE_HOST_PATH',
      message: `The receipt names paths of this machine: ${shown([...hostPaths])}`,
      hint: 'Give the folder a name that is the same everywhere: --root NAME=DIR.',
      paths: [...hostPaths],
    })
  }
  if (!hasChange(facts)) {
    findings.push({ code: 'CAPTURE_NO_OUTPUTS', message: 'The command changed no file' })
  }
  if (facts.reasons.length > 0) {
    const why = facts.refusals.length === 0 ? '' : ` (${facts.refusals.join('; ')})`
    findings.push({
      code: 'CAPTURE_PARTIAL',
      message: `Not everything was seen: ${facts.reasons.join(', ')}${why}`,
      hint: 'The receipt says so, and is never taken as known.',
    })
  }
  if (facts.read.privatePaths.length > 0) {
    findings.push({
      code: 'CAPTURE_PRIVATE_INPUT',
      message: `Read, named and not stored, since others may not read them: ${shownPaths(facts.read.privatePaths)}`,
      hint: 'Declare with --input NAME=PATH, or --root NAME=DIR, what may be stored.',
      paths: facts.read.privatePaths.map(pathText),
    })
  }
  if (facts.read.lostPaths.length > 0) {
    findings.push({
      code: 'CAPTURE_CONTENT_LOST',
      message: `Changed before their content could be kept: ${shownPaths(facts.read.lostPaths)}`,
      hint: 'Run as root, or declare their folder with --root NAME=DIR.',
      paths: facts.read.lostPaths.map(pathText),
    })
  }
  if (!facts.isEpochSet) {
    findings.push({
      code: 'CAPTURE_EPOCH_UNSET',
      message: 'SOURCE_DATE_EPOCH is not set: 0 is used',
      hint: 'Set it to the time that the results should carry.',
    })
  }
  return findings
}

function hasChange({ outputs, rootsBefore }: FindingsInput): boolean {
  return outputs.some(entry => !rootsBefore.some(before => before.name === entry.name && before.ref === entry.ref))
}

const SHOWN_COUNT = 3

function shown(texts: readonly string[]): string {
  const rest = texts.length - SHOWN_COUNT
  return `${texts.slice(0, SHOWN_COUNT).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

function shownPaths(paths: readonly RawPath[]): string {
  return shown(paths.map(pathText))
}
