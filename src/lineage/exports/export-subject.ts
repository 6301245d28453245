import type { Reference, Sha256 } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { buildGraph, type Graph, type GraphStep } from '../graph.ts'
import { plainDigests } from '../plain-digests.ts'
import { stepsUpTo } from '../steps-up-to.ts'
import { treeReader } from '../tree-reader.ts'
import { type InstalledPackage, installedPackages } from './package-set.ts'

/** What is exported: a root tree, the steps that led to it, and the image around it. */
export interface ExportSubject {
  readonly store: StoreReader
  readonly tree: Reference
  readonly receiptRef?: Reference
  /** What a person calls it. */
  readonly name: string
  readonly image?: { readonly name: string; readonly sha256?: Sha256 }
  /** Version of this program. */
  readonly toolVersion: string
}

/** The same, read and ordered: what every format is written from. */
export interface ExportData {
  readonly subject: ExportSubject
  readonly graph: Graph
  /** Causes before effects. */
  readonly steps: readonly GraphStep[]
  readonly packages: readonly InstalledPackage[]
  /** Plain SHA-256 of an artifact's content; `undefined` when the store does not hold it. */
  readonly digestOf: (ref: Reference) => Sha256 | undefined
  /** SOURCE_DATE_EPOCH of the last step: a document has no other time, or it could not be made again. */
  readonly epoch: number
}

export function exportData(subject: ExportSubject, graph: Graph = buildGraph(subject.store)): ExportData {
  const { store, tree } = subject
  const steps = causesFirst(graph, stepsUpTo(graph, subject.receiptRef ?? tree))
  const plain = plainDigests(store)
  return {
    subject,
    graph,
    steps,
    packages: installedPackages(store, treeReader(store), tree, steps),
    digestOf: ref => (store.has(ref) ? plain(ref) : undefined),
    epoch: Math.max(0, ...steps.map(step => step.details?.environment.sourceDateEpoch ?? 0)),
  }
}

/** Whole seconds, RFC 3339, UTC. */
export function timeOf(epoch: number): string {
  return new Date(epoch * 1000).toISOString().replace(/\.000Z$/, 'Z')
}

/** Depth first from each step to what it needs; a circle is left where it was entered. */
function causesFirst(graph: Graph, steps: readonly GraphStep[]): readonly GraphStep[] {
  const wanted = new Set(steps)
  const ordered = new Set<GraphStep>()
  const entered = new Set<GraphStep>()
  for (const start of steps) {
    const stack = [start]
    for (let step = stack.at(-1); step !== undefined; step = stack.at(-1)) {
      const causes = entered.has(step)
        ? []
        : causesOf(graph, step).filter(cause => wanted.has(cause) && !entered.has(cause))
      entered.add(step)
      if (causes.length > 0) stack.push(...causes)
      else ordered.add(stack.pop() ?? step)
    }
  }
  return [...ordered]
}

function causesOf(graph: Graph, step: GraphStep): readonly GraphStep[] {
  const root = step.details?.environment.rootRef
  const used = [...step.inputs.map(input => input.ref), ...(root === undefined ? [] : [root])]
  return used.flatMap(ref => graph.steps.get(ref) ?? graph.producersOf(ref))
}
