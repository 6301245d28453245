import {
  EDGE_TYPES,
  type Edge,
  edgesOf,
  encodeEdge,
  type Json,
  kindName,
  type Reference,
  referenceOf,
  TAG_EDGE,
} from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import { incidenceOf } from './dag-incidence.ts'
import type { Graph, GraphStep } from './graph.ts'
import { stepName } from './step-name.ts'

/**
 * The trace graph as data, unfolded: the form of the endpoint's `/v1/graph` (reference §18), so that one program reads
 * both. Nodes ascend by reference.
 */
export function graphView(store: StoreReader, graph: Graph, from?: Reference): Json {
  const { steps } = incidenceOf(graph, { hasReceipts: true, ...(from === undefined ? {} : { from }) })
  const labels = new Map<Reference, string>()
  const edges = steps.flatMap(({ step }) => stepEdges(step, labels))
  const wanted = new Set(edges.flatMap(edge => [...edge.from, ...edge.to]))
  const relations = graph.relations.filter(edge => [...edge.from, ...edge.to].some(ref => wanted.has(ref)))
  for (const edge of relations) for (const ref of [...edge.from, ...edge.to]) wanted.add(ref)
  return {
    nodes: [...wanted].sort().map(ref => nodeView(store, ref, labels.get(ref))),
    edges: [...edges, ...relations].map(edgeView),
    findings: graph.findings.map(({ kind, ref, message }) => ({ kind, ref, message })),
    truncated: false,
  }
}

function stepEdges(step: GraphStep, labels: Map<Reference, string>): readonly Edge[] {
  labels.set(step.ref, stepName(step))
  for (const { ref, name } of [...step.inputs, ...step.outputs]) {
    if (name !== undefined && !labels.has(ref)) labels.set(ref, name)
  }
  if (step.details !== undefined) return edgesOf(step.details.receipt, step.ref, step.details)
  const [inputs, outputs] = [step.inputs, step.outputs].map(entries => entries.map(entry => entry.ref))
  return [
    { type: EDGE_TYPES.CONSUMES, from: inputs ?? [], to: [step.ref], payload: step.ref },
    { type: EDGE_TYPES.PRODUCES, from: [step.ref], to: outputs ?? [], payload: step.ref },
  ]
}

function nodeView(store: StoreReader, ref: Reference, label: string | undefined): Json {
  const stat = store.tryStat(ref)
  return {
    ref,
    kind: stat === undefined ? 'absent' : kindName(stat.typeTag),
    ...(label === undefined ? {} : { label: label.toWellFormed() }),
    ...(stat === undefined ? {} : { size: stat.sizeBytes }),
  }
}

const TYPE_NAMES = new Map<number, string>(Object.entries(EDGE_TYPES).map(([name, type]) => [type, name]))

function edgeView(edge: Edge): Json {
  return {
    ref: referenceOf(encodeEdge(edge), TAG_EDGE),
    type: TYPE_NAMES.get(edge.type) ?? `0x${edge.type.toString(16).padStart(8, '0')}`,
    from: edge.from,
    to: edge.to,
  }
}
