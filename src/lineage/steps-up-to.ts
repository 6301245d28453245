import type { Reference } from '../core/mod.ts'
import type { Graph, GraphStep } from './graph.ts'

/**
 * The steps that an artifact or receipt came to be by, itself included, ascending by reference. Where several steps of
 * the store made the same artifact, the one that the build's own receipts name is taken, else the first: the history of
 * one result, not of all that a builder ever did.
 */
export function stepsUpTo(graph: Graph, from: Reference): readonly GraphStep[] {
  const found = new Set<GraphStep>()
  const named = new Set<Reference>()
  const undecided = new Map<Reference, readonly GraphStep[]>()
  const add = (step: GraphStep): void => {
    const queue = [step]
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      if (found.has(at)) continue
      found.add(at)
      for (const input of at.inputs) if (input.role === 'receipt') named.add(input.ref)
      for (const ref of usedBy(at)) {
        const receipt = graph.steps.get(ref)
        const makers = receipt === undefined ? graph.producersOf(ref) : [receipt]
        if (makers.length > 1) undecided.set(ref, makers)
        else queue.push(...makers)
      }
    }
  }
  const start = graph.steps.get(from) ?? graph.producersOf(from)[0]
  if (start !== undefined) add(start)
  for (let next = decide(undecided, named, found); next !== undefined; next = decide(undecided, named, found)) add(next)
  return [...found].sort((a, b) => (a.ref < b.ref ? -1 : 1))
}

/** Takes out one undecided artifact: first those whose maker a receipt names, for that may lead to further receipts. */
function decide(
  undecided: Map<Reference, readonly GraphStep[]>,
  named: ReadonlySet<Reference>,
  found: ReadonlySet<GraphStep>,
): GraphStep | undefined {
  for (const [ref, makers] of undecided) {
    const chosen = makers.find(step => found.has(step)) ?? makers.find(step => named.has(step.ref))
    if (chosen === undefined) continue
    undecided.delete(ref)
    if (!found.has(chosen)) return chosen
  }
  const [first] = undecided
  if (first === undefined) return undefined
  undecided.delete(first[0])
  return first[1][0]
}

function usedBy(step: GraphStep): readonly Reference[] {
  const root = step.details?.environment.rootRef
  return [...step.inputs.map(input => input.ref), ...(root === undefined ? [] : [root])]
}
