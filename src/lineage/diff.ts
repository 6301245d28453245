import type { Reference } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import type { ArchiveReaders } from './archive.ts'
import { type BytePath, showPath } from './byte-path.ts'
import { buildGraph, type Graph } from './graph.ts'
import { type Cause, compareHistories, compareReceipts, type StepPair } from './history-compare.ts'
import { changedFields, type Origin, originFinder } from './origin.ts'
import { contentKey } from './step-sources.ts'
import { type DifferenceField, diffTrees, type TreeDifference, type TreeSide } from './tree-diff.ts'
import { type TreeReader, treeReader } from './tree-reader.ts'

/** One of two things to compare: a tree with the history of its store. */
export interface DiffSubject {
  readonly store: StoreReader
  readonly tree: Reference
  /** Receipt of the step that made the tree, where an image names it. */
  readonly receiptRef?: Reference
  readonly readers: ArchiveReaders
  /** What a person calls it. */
  readonly name: string
}

export interface HistoryDiff {
  readonly counts: { readonly added: number; readonly removed: number; readonly changed: number }
  /** Differences with the same cause together, earliest cause first; then those that no cause was found for. */
  readonly groups: readonly DiffGroup[]
  /** Causes that changed no file. */
  readonly idle: readonly Cause[]
}

export interface DiffGroup {
  /** Absent when a tree has no receipt. */
  readonly cause: Cause | undefined
  readonly files: readonly FileDifference[]
  /** Files of this group that are not listed, because there are too many. */
  readonly omitted: number
}

export interface FileDifference {
  readonly path: string
  readonly kind: TreeDifference['kind']
  readonly fields: readonly DifferenceField[]
}

export interface DiffOptions {
  /** Most files listed for one cause; all are counted. Default 10,000. */
  readonly maxFiles?: number
}

const MAX_FILES = 10_000

interface Side extends DiffSubject {
  readonly graph: Graph
  readonly trees: TreeReader
  readonly find: (path: BytePath) => Promise<Origin | undefined>
}

/** Which files differ, which steps made them differ, and which inputs are the cause. */
export async function diffHistories(
  subjectA: DiffSubject,
  subjectB: DiffSubject,
  options: DiffOptions = {},
): Promise<HistoryDiff> {
  const [a, b] = [sideOf(subjectA), sideOf(subjectB)]
  const { pairs, causes } = compareHistories(a, b)
  const counts = { added: 0, removed: 0, changed: 0 }
  const groups = new Map<Cause | undefined, { files: FileDifference[]; omitted: number }>()
  for (const found of diffTrees(a, b)) {
    counts[found.kind]++
    const cause = await causeOf(found, pairs, causes, a, b)
    const group = groups.get(cause) ?? { files: [], omitted: 0 }
    groups.set(cause, group)
    const { path, kind, fields } = found
    if (group.files.length < (options.maxFiles ?? MAX_FILES)) group.files.push({ path: showPath(path), kind, fields })
    else group.omitted++
  }
  const ordered = [...causes.filter(cause => groups.has(cause)), ...(groups.has(undefined) ? [undefined] : [])]
  return {
    counts,
    groups: ordered.map(cause => ({ cause, ...(groups.get(cause) ?? { files: [], omitted: 0 }) })),
    idle: causes.filter(cause => !groups.has(cause)),
  }
}

/** The causes that make two receipts differ. */
export function diffReceipts(
  a: { readonly store: StoreReader; readonly receipt: Reference },
  b: { readonly store: StoreReader; readonly receipt: Reference },
): readonly Cause[] {
  const [graphA, graphB] = [buildGraph(a.store), buildGraph(b.store)]
  return compareReceipts(
    { graph: graphA, step: graphA.step(a.receipt) },
    { graph: graphB, step: graphB.step(b.receipt) },
  )
}

function sideOf(subject: DiffSubject): Side {
  const { store, tree, readers } = subject
  const graph = buildGraph(store)
  const trees = treeReader(store)
  const finder = originFinder(store, graph, trees, readers)
  const find = async (path: BytePath): Promise<Origin | undefined> => {
    const entry = trees.tryEntry(tree, path)
    return entry && finder.find(tree, path, entry, subject.receiptRef)
  }
  return { ...subject, graph, trees, find }
}

/** The step from which on the two sides differ at this path, and which of its own changes did it. */
async function causeOf(
  found: TreeDifference,
  pairs: readonly StepPair[],
  causes: readonly Cause[],
  a: Side,
  b: Side,
): Promise<Cause | undefined> {
  const pair = pairs.findLast(candidate => startsHere(candidate, found.path, a, b))
  if (pair === undefined) return undefined
  const own = causes.filter(cause => cause.a === pair.a?.step && cause.b === pair.b?.step)
  const aside = causes.filter(cause => cause.through.length > 0)
  if (own.length + aside.length <= 1) return own[0] ?? aside[0]
  const inputs = await inputsOf(found.path, a, b)
  return (
    own.find(cause => isAboutInput(cause, inputs)) ??
    aside.find(cause => cause.through.some(ref => inputs.has(ref))) ??
    own.find(cause => cause.change.kind !== 'input') ??
    own[0] ??
    aside[0]
  )
}

/**
 * True when the trees before the pair agree at the path and the trees after do not; of a step that only one side has,
 * when it changed the path.
 */
function startsHere({ a: left, b: right }: StepPair, path: BytePath, a: Side, b: Side): boolean {
  if (left !== undefined && right !== undefined) {
    return (
      !isSameAt(path, { ...a, tree: left.after }, { ...b, tree: right.after }) &&
      isSameAt(path, { ...a, tree: left.before }, { ...b, tree: right.before })
    )
  }
  const only = left ?? right
  const side = left === undefined ? b : a
  return only !== undefined && !isSameAt(path, { ...side, tree: only.before }, { ...side, tree: only.after })
}

function isSameAt(path: BytePath, a: TreeSide, b: TreeSide): boolean {
  if (a.tree === b.tree) return true
  const left = a.tree && a.trees.tryEntry(a.tree, path)
  const right = b.tree && b.trees.tryEntry(b.tree, path)
  if (!a.tree || !b.tree || !left || !right) return left === right
  return (
    contentKey(a.trees, a.tree, left) === contentKey(b.trees, b.tree, right) && changedFields(left, right).length === 0
  )
}

async function inputsOf(path: BytePath, a: Side, b: Side): Promise<ReadonlySet<Reference>> {
  const refs = new Set<Reference>()
  for (const side of [a, b]) {
    const origin = await side.find(path)
    if (origin?.source.kind === 'member') refs.add(origin.source.found.input.ref)
    if (origin?.source.kind === 'input') refs.add(origin.source.input.ref)
    if (origin?.source.kind === 'tree') refs.add(origin.source.tree)
  }
  return refs
}

function isAboutInput({ change }: Cause, refs: ReadonlySet<Reference>): boolean {
  if (change.kind !== 'input') return false
  return (change.a !== undefined && refs.has(change.a.ref)) || (change.b !== undefined && refs.has(change.b.ref))
}
