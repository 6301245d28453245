import type { Reference } from '../core/mod.ts'
import type { Graph, GraphStep } from './graph.ts'

/** One step that made a tree, and the tree it started from when it changed one. */
export interface TreeStep {
  readonly step: GraphStep
  readonly after: Reference
  /** The input tree of the same name; absent when the step made the tree from other things. */
  readonly before: Reference | undefined
  /** Other steps of the store with the same output tree. */
  readonly alternatives: number
}

/**
 * The steps that led to a tree, last one first. Where several receipts name the same tree, the shortest way back to a
 * step that started from nothing is taken, so that a step without effect, or one that undid another, leads in no circle.
 */
export function historyOf(graph: Graph, tree: Reference, lastStep?: Reference): readonly TreeStep[] {
  const arrivals = new Map<Reference, Arrival>([[tree, { made: undefined, from: undefined }]])
  const queue = [tree]
  let deadEnd: Reference | undefined
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    const ways = waysTo(graph, at, at === tree ? lastStep : undefined)
    const start = ways.find(way => way.before === undefined)
    if (start !== undefined) return [...backFrom(arrivals, at), start]
    if (ways.length === 0) deadEnd ??= at
    for (const way of ways) {
      if (way.before === undefined || arrivals.has(way.before)) continue
      arrivals.set(way.before, { made: way, from: at })
      queue.push(way.before)
    }
  }
  return backFrom(arrivals, deadEnd ?? tree)
}

/** How the search reached a tree: through which step, coming from which later tree. */
interface Arrival {
  readonly made: TreeStep | undefined
  readonly from: Reference | undefined
}

function waysTo(graph: Graph, tree: Reference, lastStep: Reference | undefined): readonly TreeStep[] {
  const producers = graph.producersOf(tree)
  const wanted = producers.filter(step => step.ref === lastStep)
  const chosen = wanted.length > 0 ? wanted : producers
  return chosen.flatMap(step =>
    step.outputs
      .filter(output => output.ref === tree)
      .map(output => ({
        step,
        after: tree,
        before: treeBefore(step, output.name),
        alternatives: producers.length - 1,
      })),
  )
}

function treeBefore(step: GraphStep, name: string | undefined): Reference | undefined {
  if (name === undefined) return undefined
  return step.inputs.find(input => input.role === 'tree' && input.name === name)?.ref
}

function backFrom(arrivals: ReadonlyMap<Reference, Arrival>, end: Reference): TreeStep[] {
  const steps: TreeStep[] = []
  for (let arrival = arrivals.get(end); arrival?.made !== undefined && arrival.from !== undefined; ) {
    steps.push(arrival.made)
    arrival = arrivals.get(arrival.from)
  }
  return steps.reverse()
}
