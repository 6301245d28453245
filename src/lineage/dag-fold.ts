import type { Incidence, IncidenceArtifact } from './dag-incidence.ts'
import { programName } from './step-name.ts'

/**
 * A history folded to a size that a person can look at. Steps are the spine: each stands alone while there are few, and
 * by program and place in the order when there are many. Artifacts of one kind that the same steps made and used are
 * one group. Nothing is dropped: every step and artifact is in exactly one group.
 */
export interface Folded {
  readonly stepGroups: readonly StepGroup[]
  readonly artifactGroups: readonly ArtifactGroup[]
}

export interface StepGroup {
  /** Indices into the incidence's steps, ascending. */
  readonly steps: readonly number[]
}

export interface ArtifactGroup {
  readonly artifacts: readonly IncidenceArtifact[]
  /** Indices into `stepGroups`, ascending. */
  readonly producers: readonly number[]
  readonly consumers: readonly number[]
  readonly runIn: readonly number[]
  readonly changedBy: ReadonlySet<number>
}

export interface FoldLimits {
  readonly maxSteps: number
  readonly maxArtifacts: number
}

/** As many boxes as fit on a few screens. */
export const FOLD_LIMITS: FoldLimits = { maxSteps: 40, maxArtifacts: 80 }

export function foldHistory(incidence: Incidence, limits: FoldLimits = FOLD_LIMITS): Folded {
  const groupOf = foldSteps(incidence, limits.maxSteps)
  const stepGroups = collect(groupOf).map(steps => ({ steps }))
  for (const [i, signature] of SIGNATURES.entries()) {
    const artifactGroups = foldArtifacts(incidence, groupOf, signature)
    if (artifactGroups.length <= limits.maxArtifacts || i === SIGNATURES.length - 1)
      return { stepGroups, artifactGroups }
  }
  throw new Error('there is always a last signature')
}

/** Group number of each step, numbered in order of appearance. */
function foldSteps({ steps }: Incidence, maxSteps: number): readonly number[] {
  if (steps.length <= maxSteps) return steps.map((_, i) => i)
  const names = steps.map(({ step }) => programName(step))
  const deepest = steps.reduce((max, { level }) => Math.max(max, level), 0)
  for (let width = 1; ; width *= 2) {
    const keys = steps.map(({ level }, i) => `${Math.floor(level / width)} ${names[i]}`)
    const groups = numbered(keys)
    if (countOf(groups) <= maxSteps) return groups
    if (width > deepest) return numbered(withRareTogether(keys, maxSteps))
  }
}

/** Too many different programs: the most frequent ones keep a box, the others share one. */
function withRareTogether(keys: readonly string[], maxSteps: number): readonly string[] {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  const kept = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, maxSteps - 1)
  const isKept = new Set(kept.map(([key]) => key))
  return keys.map(key => (isKept.has(key) ? key : 'others'))
}

type Signature = (artifact: IncidenceArtifact, touched: Touched) => string

interface Touched {
  readonly producers: readonly number[]
  readonly consumers: readonly number[]
  readonly runIn: readonly number[]
}

/** From fine to coarse; the first that gives few enough groups is taken. */
const SIGNATURES: readonly Signature[] = [
  (artifact, touched) => `${classOf(artifact)} ${list(touched)} ${isAlone(artifact) ? artifact.ref : ''}`,
  (artifact, touched) => `${classOf(artifact)} ${list(touched)}`,
  (artifact, touched) => `${artifact.kind} ${list(touched)}`,
  (artifact, { producers, consumers }) => `${artifact.kind} ${ends(producers)} ${ends(consumers)}`,
  (artifact, { producers, consumers }) => `${artifact.kind} ${producers[0] ?? `from ${consumers[0]}`}`,
  artifact => artifact.kind,
]

function list({ producers, consumers, runIn }: Touched): string {
  return `${producers.join()}>${consumers.join()}~${runIn.join()}`
}

function ends(groups: readonly number[]): string {
  return groups.length <= 1 ? groups.join() : `${groups[0]}+`
}

/** Trees and images are what a history is about: each has a box of its own while that is possible. */
function isAlone({ kind }: IncidenceArtifact): boolean {
  return kind === 'tree' || kind === 'image' || kind === 'overlay'
}

function classOf(artifact: IncidenceArtifact): string {
  return `${artifact.kind} ${hostOf(artifact.name) ?? ''}`
}

/** The host that an artifact came from, where its name is a URL. */
export function hostOf(name: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/([^/?#]+)/.exec(name)?.[1]
}

function foldArtifacts(
  { artifacts }: Incidence,
  groupOf: readonly number[],
  signature: Signature,
): readonly ArtifactGroup[] {
  const touched = artifacts.map(artifact => ({
    producers: groupsOf(artifact.producers, groupOf),
    consumers: groupsOf(artifact.consumers, groupOf),
    runIn: groupsOf(artifact.runIn, groupOf),
  }))
  const numbers = numbered(artifacts.map((artifact, i) => signature(artifact, touched[i] as Touched)))
  return collect(numbers).map(members => {
    const artifactsOf = members.map(i => artifacts[i] as IncidenceArtifact)
    const union = (key: keyof Touched): readonly number[] =>
      [...new Set(members.flatMap(i => (touched[i] as Touched)[key]))].sort((a, b) => a - b)
    const changedBy = new Set(artifactsOf.flatMap(artifact => groupsOf([...artifact.changedBy], groupOf)))
    return {
      artifacts: artifactsOf,
      producers: union('producers'),
      consumers: union('consumers'),
      runIn: union('runIn'),
      changedBy,
    }
  })
}

function groupsOf(steps: readonly number[], groupOf: readonly number[]): readonly number[] {
  return [...new Set(steps.map(step => groupOf[step] ?? 0))].sort((a, b) => a - b)
}

function numbered(keys: readonly string[]): readonly number[] {
  const numbers = new Map<string, number>()
  return keys.map(key => {
    const number = numbers.get(key) ?? numbers.size
    numbers.set(key, number)
    return number
  })
}

function countOf(numbers: readonly number[]): number {
  return numbers.reduce((max, number) => Math.max(max, number + 1), 0)
}

function collect(numbers: readonly number[]): readonly (readonly number[])[] {
  const groups: number[][] = Array.from({ length: countOf(numbers) }, () => [])
  for (const [i, number] of numbers.entries()) groups[number]?.push(i)
  return groups
}
