import type { Reference } from '../core/mod.ts'
import type { Graph, GraphStep } from './graph.ts'
import { compareSteps, type StepChange } from './step-compare.ts'
import { programName } from './step-name.ts'
import { historyOf, type TreeStep } from './tree-history.ts'

/** Steps of the same place in two histories; one side is absent for a step that only one history has. */
export interface StepPair {
  readonly a: TreeStep | undefined
  readonly b: TreeStep | undefined
}

/** A difference that no earlier step explains. */
export interface Cause {
  readonly a: GraphStep | undefined
  readonly b: GraphStep | undefined
  readonly change: StepChange | { readonly kind: 'step-added' } | { readonly kind: 'step-removed' }
  /** Artifacts of either side through which the comparison came here, aside from the spine. */
  readonly through: readonly Reference[]
}

export interface HistoryComparison {
  /** First step first. */
  readonly pairs: readonly StepPair[]
  /** Earliest first. */
  readonly causes: readonly Cause[]
}

/** Histories that fork without end would otherwise keep us; real builds go a few trees deep. */
const MAX_DEPTH = 64

export function compareHistories(
  a: { readonly graph: Graph; readonly tree: Reference; readonly receiptRef?: Reference | undefined },
  b: { readonly graph: Graph; readonly tree: Reference; readonly receiptRef?: Reference | undefined },
): HistoryComparison {
  const finder = causeFinder(a.graph, b.graph)
  const pairs = finder.compareTrees(a.tree, b.tree, 0, a.receiptRef, b.receiptRef)
  return { pairs, causes: finder.causes }
}

/** Two receipts instead of two trees. */
export function compareReceipts(
  a: { readonly graph: Graph; readonly step: GraphStep },
  b: { readonly graph: Graph; readonly step: GraphStep },
): readonly Cause[] {
  const finder = causeFinder(a.graph, b.graph)
  finder.compareStep(a.step, b.step, 0)
  return finder.causes
}

interface CauseFinder {
  readonly causes: readonly Cause[]
  compareTrees(a: Reference, b: Reference, depth: number, lastA?: Reference, lastB?: Reference): readonly StepPair[]
  compareStep(a: GraphStep, b: GraphStep, depth: number): void
}

function causeFinder(graphA: Graph, graphB: Graph): CauseFinder {
  const causes: Cause[] = []
  const seen = new Set<string>()
  const through: Reference[] = []
  const add = (cause: Omit<Cause, 'through'>): void => void causes.push({ ...cause, through: [...through] })
  const isMadeInA = (ref: Reference): boolean => graphA.producersOf(ref).length > 0
  const isMadeInB = (ref: Reference): boolean => graphB.producersOf(ref).length > 0
  const finder: CauseFinder = {
    causes,
    compareTrees(a, b, depth, lastA, lastB) {
      const left = historyOf(graphA, a, lastA).toReversed()
      const right = historyOf(graphB, b, lastB).toReversed()
      const pairs = align(left, right)
      for (const pair of pairs) {
        if (pair.a !== undefined && pair.b !== undefined) finder.compareStep(pair.a.step, pair.b.step, depth)
        else if (pair.a !== undefined) add({ a: pair.a.step, b: undefined, change: { kind: 'step-removed' } })
        else if (pair.b !== undefined) add({ a: undefined, b: pair.b.step, change: { kind: 'step-added' } })
      }
      return pairs
    },
    compareStep(a, b, depth) {
      const key = `${a.ref} ${b.ref}`
      if (a.ref === b.ref || seen.has(key) || depth > MAX_DEPTH) return
      seen.add(key)
      const { changes, derived } = compareSteps(a, b, isMadeInA, isMadeInB)
      for (const [left, right] of derived) compareArtifacts(left, right, depth + 1)
      for (const change of changes) add({ a, b, change })
    },
  }
  /** What earlier steps made: the tree before was compared already, other trees and files lead aside. */
  const compareArtifacts = (a: Reference, b: Reference, depth: number): void => {
    const [makerA] = graphA.producersOf(a)
    const [makerB] = graphB.producersOf(b)
    if (makerA === undefined || makerB === undefined) return
    const isTree = makerA.outputs.some(output => output.ref === a && output.role === 'tree')
    const key = `${a} ${b}`
    if (seen.has(key) || depth > MAX_DEPTH) return
    seen.add(key)
    through.push(a, b)
    if (isTree) finder.compareTrees(a, b, depth)
    else finder.compareStep(makerA, makerB, depth)
    through.length -= 2
  }
  return finder
}

/** Longest tables that are worth their memory: 4 million cells. Longer histories are paired by position. */
const MAX_ALIGNED = 2000

/**
 * Pairs the steps of two histories in order: as many as possible with the same command, then those that stand between
 * the same neighbours and run the same program.
 */
function align(a: readonly TreeStep[], b: readonly TreeStep[]): readonly StepPair[] {
  if (a.length > MAX_ALIGNED || b.length > MAX_ALIGNED) {
    return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => ({ a: a[i], b: b[i] }))
  }
  const score = (x: TreeStep, y: TreeStep): number => {
    if (functionOf(x) !== undefined && functionOf(x) === functionOf(y)) return 4
    return programName(x.step) === programName(y.step) ? 2 : x.before === undefined && y.before === undefined ? 1 : 0
  }
  const best: number[][] = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0))
  const at = (i: number, j: number): number => best[i]?.[j] ?? 0
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const paired = score(a[i] as TreeStep, b[j] as TreeStep)
      const row = best[i] as number[]
      row[j] = Math.max(at(i + 1, j), at(i, j + 1), paired === 0 ? 0 : paired + at(i + 1, j + 1))
    }
  }
  const pairs: StepPair[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    const [x, y] = [a[i], b[j]]
    const paired = x !== undefined && y !== undefined ? score(x, y) : 0
    if (paired > 0 && at(i, j) === paired + at(i + 1, j + 1)) {
      pairs.push({ a: x, b: y })
      i++
      j++
    } else if (x !== undefined && (y === undefined || at(i, j) === at(i + 1, j))) {
      pairs.push({ a: x, b: undefined })
      i++
    } else {
      pairs.push({ a: undefined, b: y })
      j++
    }
  }
  return pairs
}

function functionOf({ step }: TreeStep): Reference | undefined {
  return step.details?.receipt.functionRef
}
