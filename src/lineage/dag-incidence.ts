import type { Reference } from '../core/mod.ts'
import type { DagNodeKind } from './dag-model.ts'
import type { Graph, GraphStep } from './graph.ts'
import { stepsUpTo } from './steps-up-to.ts'

/** A graph as numbers: steps and artifacts by index, and who touches what. What folding and layout work on. */
export interface Incidence {
  /** Causes before effects; what lies in a circle comes in order of its reference. */
  readonly steps: readonly IncidenceStep[]
  readonly artifacts: readonly IncidenceArtifact[]
}

export interface IncidenceStep {
  readonly step: GraphStep
  /** Longest way from a start, in steps. */
  readonly level: number
}

export interface IncidenceArtifact {
  readonly ref: Reference
  readonly kind: Exclude<DagNodeKind, 'step'>
  readonly name: string
  readonly sizeBytes: number
  /** Indices into `steps`, ascending. */
  readonly producers: readonly number[]
  readonly consumers: readonly number[]
  /** Steps that ran in this tree and did not change it. */
  readonly runIn: readonly number[]
  /** Steps that took it as the tree before, or gave it as the tree after. */
  readonly changedBy: ReadonlySet<number>
}

export interface IncidenceOptions {
  /** Only what led to this artifact or receipt. */
  readonly from?: Reference
  /** Receipts as inputs repeat what the trees say; the full picture shows them all the same. */
  readonly hasReceipts?: boolean
}

export function incidenceOf(graph: Graph, options: IncidenceOptions = {}): Incidence {
  const wanted = options.from === undefined ? [...graph.steps.values()] : stepsUpTo(graph, options.from)
  const { ordered, levels } = inOrder(wanted)
  const drafts = new Map<Reference, Draft>()
  for (const [index, step] of ordered.entries()) addStep(drafts, step, index, options.hasReceipts === true)
  for (const [index, step] of ordered.entries()) drafts.get(step.ref)?.producers.push(index)
  return {
    steps: ordered.map((step, i) => ({ step, level: levels[i] ?? 0 })),
    artifacts: [...drafts].map(([ref, draft]) => ({ ref, ...draft })),
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Draft = Mutable<Omit<IncidenceArtifact, 'ref' | 'producers' | 'consumers' | 'runIn' | 'changedBy'>> & {
  readonly producers: number[]
  readonly consumers: number[]
  readonly runIn: number[]
  readonly changedBy: Set<number>
}

function addStep(drafts: Map<Reference, Draft>, step: GraphStep, index: number, hasReceipts: boolean): void {
  const consumed = new Set<Reference>()
  const outputNames = new Set(step.outputs.filter(output => output.role === 'tree').map(output => output.name))
  for (const { ref, name = ref, role = 'file', size = 0 } of step.inputs) {
    if (role === 'receipt' && !hasReceipts) continue
    const draft = draftOf(drafts, ref, kindOf(role, name), name, size)
    if (!consumed.has(ref)) draft.consumers.push(index)
    consumed.add(ref)
    if (role === 'tree' && outputNames.has(name)) draft.changedBy.add(index)
  }
  const root = step.details?.environment.rootRef
  if (root !== undefined && !consumed.has(root)) draftOf(drafts, root, 'tree', 'root', 0).runIn.push(index)
  const produced = new Set<Reference>()
  for (const { ref, name = ref, role = 'file', size = 0 } of step.outputs) {
    if (produced.has(ref) || consumed.has(ref)) continue
    produced.add(ref)
    const draft = draftOf(drafts, ref, kindOf(role, name), name, size)
    draft.producers.push(index)
    if (role === 'tree') draft.changedBy.add(index)
  }
}

/** What shows most when one artifact has several roles. */
const PRECEDENCE: readonly Draft['kind'][] = [
  'image',
  'overlay',
  'tree',
  'package',
  'index',
  'download',
  'receipt',
  'file',
]

function draftOf(
  drafts: Map<Reference, Draft>,
  ref: Reference,
  kind: Draft['kind'],
  name: string,
  sizeBytes: number,
): Draft {
  const known = drafts.get(ref)
  if (known === undefined) {
    const draft = { kind, name, sizeBytes, producers: [], consumers: [], runIn: [], changedBy: new Set<number>() }
    drafts.set(ref, draft)
    return draft
  }
  if (PRECEDENCE.indexOf(kind) < PRECEDENCE.indexOf(known.kind)) {
    known.kind = kind
    known.name = name
  }
  known.sizeBytes = Math.max(known.sizeBytes, sizeBytes)
  return known
}

function kindOf(role: string, name: string): Draft['kind'] {
  switch (role) {
    case 'tree':
    case 'overlay':
    case 'receipt':
    case 'image':
      return role
    case 'package':
      return 'package'
    case 'download':
      if (name.endsWith('.deb')) return 'package'
      return /\/dists\//.test(name) ? 'index' : 'download'
    default:
      return 'file'
  }
}

/**
 * Kahn's algorithm over steps and the artifacts between them, so that an artifact with a thousand makers and a thousand
 * users costs two thousand visits and not a million. Circles (a step undid another) are cut at the smallest reference.
 */
function inOrder(steps: readonly GraphStep[]): { ordered: readonly GraphStep[]; levels: readonly number[] } {
  const makers = new Map<Reference, number>()
  const users = new Map<Reference, GraphStep[]>()
  const waiting = new Map<GraphStep, Set<Reference>>()
  const inputsOf = new Map(steps.map(step => [step, new Set(neededBy(step))]))
  for (const step of steps) {
    for (const ref of madeBy(step, inputsOf.get(step))) makers.set(ref, (makers.get(ref) ?? 0) + 1)
  }
  for (const step of steps) {
    const missing = [...(inputsOf.get(step) ?? [])].filter(ref => makers.has(ref))
    waiting.set(step, new Set(missing))
    for (const ref of missing) {
      const list = users.get(ref)
      if (list === undefined) users.set(ref, [step])
      else list.push(step)
    }
  }
  const levelOf = new Map<GraphStep, number>()
  const levelAfter = new Map<Reference, number>()
  const ordered: GraphStep[] = []
  const ready = steps.filter(step => waiting.get(step)?.size === 0)
  const rest = steps.values()
  let next = 0
  const take = (): GraphStep | undefined => (next < ready.length ? ready[next++] : nextStuck(rest, waiting))
  for (let step = take(); step !== undefined; step = take()) {
    if (!waiting.delete(step)) continue
    ordered.push(step)
    for (const ref of madeBy(step, inputsOf.get(step))) {
      const left = (makers.get(ref) ?? 1) - 1
      const level = Math.max(levelAfter.get(ref) ?? 0, (levelOf.get(step) ?? 0) + 1)
      makers.set(ref, left)
      levelAfter.set(ref, level)
      if (left > 0) continue
      for (const user of users.get(ref) ?? []) {
        const missing = waiting.get(user)
        if (missing?.delete(ref) !== true) continue
        levelOf.set(user, Math.max(levelOf.get(user) ?? 0, level))
        if (missing.size === 0) ready.push(user)
      }
    }
  }
  return { ordered, levels: ordered.map(step => levelOf.get(step) ?? 0) }
}

function nextStuck(rest: Iterator<GraphStep>, waiting: ReadonlyMap<GraphStep, unknown>): GraphStep | undefined {
  for (let at = rest.next(); at.done !== true; at = rest.next()) if (waiting.has(at.value)) return at.value
  return undefined
}

function neededBy(step: GraphStep): readonly Reference[] {
  const root = step.details?.environment.rootRef
  return [...step.inputs.map(input => input.ref), ...(root === undefined ? [] : [root])]
}

/** What a step hands on; an unchanged input is not made by it. A receipt counts as made by its own step. */
function madeBy(step: GraphStep, inputs: ReadonlySet<Reference> | undefined): readonly Reference[] {
  return [...new Set([step.ref, ...step.outputs.map(output => output.ref)])].filter(ref => inputs?.has(ref) !== true)
}
