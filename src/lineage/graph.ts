import {
  AslError,
  decodeEdge,
  decodeReceipt,
  deterministicHalf,
  EDGE_TYPES,
  type Edge,
  type InputRole,
  messageOf,
  type OutputRole,
  type Receipt,
  type Reference,
  receiptReference,
  TAG_EDGE,
  TAG_RECEIPT,
} from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import { type ReceiptDetails, receiptDetailsReader } from './receipt-details.ts'
import { readRunDetails } from './run-details.ts'

/**
 * The trace graph of a store in memory: steps, what they consumed and produced. Edges come first; receipts give the
 * names and fill gaps. What does not fit together is a finding, never a crash: stores are foreign.
 */
export interface Graph {
  /** Ascending by reference of the receipt. */
  readonly steps: ReadonlyMap<Reference, GraphStep>
  /** Steps with this output, ascending by reference. */
  producersOf(ref: Reference): readonly GraphStep[]
  /** Steps with this input, or that ran in this tree, ascending by reference. */
  consumersOf(ref: Reference): readonly GraphStep[]
  /** @throws AslError RECEIPT_NOT_FOUND */
  step(ref: Reference): GraphStep
  /** Run halves of a deterministic receipt that the store holds, ascending. None inside an image. */
  runsOf(ref: Reference): readonly Reference[]
  /** Edges of other types than the five that a receipt implies: signatures, supersession, imports, unknown ones. */
  readonly relations: readonly Edge[]
  readonly findings: readonly GraphFinding[]
}

export interface GraphStep {
  /** The deterministic receipt. */
  readonly ref: Reference
  /** The builder's name for it, where a run half tells; never proof of anything. */
  readonly name?: string
  readonly inputs: readonly GraphInput[]
  readonly outputs: readonly GraphOutput[]
  /** Absent when edges speak of a receipt that the store does not hold. */
  readonly details: ReceiptDetails | undefined
}

/** Name, role and size are known from the receipt's manifest; an edge alone gives the reference. */
export interface GraphInput {
  readonly ref: Reference
  readonly name?: string
  readonly role?: InputRole
  readonly size?: number
}

export interface GraphOutput {
  readonly ref: Reference
  readonly name?: string
  readonly role?: OutputRole
  readonly size?: number
}

export type GraphFindingKind =
  | 'receipt-without-edges'
  | 'edge-without-receipt'
  | 'edge-disagrees'
  | 'edge-invalid'
  | 'receipt-invalid'

export interface GraphFinding {
  readonly kind: GraphFindingKind
  readonly ref: Reference
  readonly message: string
}

export interface GraphOptions {
  /** Steps, inputs and outputs together: a bound on memory, about 300 bytes each. Default 4 million. */
  readonly maxEntries?: number
}

const MAX_ENTRIES = 4_000_000

/** @throws AslError LIMIT_EXCEEDED for a graph beyond `maxEntries`; STORE_IO, STORE_INTEGRITY */
export function buildGraph(store: StoreReader, options: GraphOptions = {}): Graph {
  const findings: GraphFinding[] = []
  const count = entryCounter(store, options.maxEntries ?? MAX_ENTRIES)
  const edges = readEdges(store, findings, count)
  const { halves, runs } = readReceipts(store, findings)
  const steps = new Map<Reference, GraphStep>()
  const readDetails = receiptDetailsReader(store)
  for (const [ref, receipt] of halves) {
    const details = readOrFind(findings, 'receipt-invalid', ref, () => readDetails(receipt))
    const run = runs.get(ref)?.[0]
    const name = run && readOrFind(findings, 'receipt-invalid', run.ref, () => nameOf(store, run.receipt))
    const step = stepOf({ ref, ...(name === undefined ? {} : { name }) }, details, edges.byReceipt.get(ref), findings)
    count(1 + step.inputs.length + step.outputs.length)
    steps.set(ref, step)
  }
  for (const [ref, said] of edges.byReceipt) {
    if (steps.has(ref)) continue
    findings.push({ kind: 'edge-without-receipt', ref, message: `Edges speak of receipt ${ref}, which is not here` })
    steps.set(ref, stepOfEdges(ref, said))
  }
  return assemble(store, steps, runs, edges.relations, findings)
}

function assemble(
  store: StoreReader,
  unsorted: ReadonlyMap<Reference, GraphStep>,
  runs: ReadonlyMap<Reference, readonly Run[]>,
  relations: readonly Edge[],
  findings: readonly GraphFinding[],
): Graph {
  const steps = new Map([...unsorted].sort(([a], [b]) => (a < b ? -1 : 1)))
  const producers = new Map<Reference, GraphStep[]>()
  const consumers = new Map<Reference, GraphStep[]>()
  for (const step of steps.values()) {
    for (const ref of new Set(step.outputs.map(output => output.ref))) append(producers, ref, step)
    const consumed = new Set(step.inputs.map(input => input.ref))
    const rootRef = step.details?.environment.rootRef
    if (rootRef !== undefined) consumed.add(rootRef)
    for (const ref of consumed) append(consumers, ref, step)
  }
  return {
    steps,
    relations,
    findings,
    producersOf: ref => producers.get(ref) ?? [],
    consumersOf: ref => consumers.get(ref) ?? [],
    runsOf: ref => (runs.get(ref) ?? []).map(run => run.ref),
    step: ref => {
      const step = steps.get(ref)
      if (step !== undefined) return step
      throw new AslError('RECEIPT_NOT_FOUND', `No receipt ${ref} in ${store.location}`)
    },
  }
}

/** What the edges of one receipt say. There is one of each, unless somebody added another. */
interface EdgeLists {
  readonly consumes: (readonly Reference[])[]
  readonly produces: (readonly Reference[])[]
}

interface ReadEdges {
  readonly byReceipt: ReadonlyMap<Reference, EdgeLists>
  readonly relations: readonly Edge[]
}

function readEdges(store: StoreReader, findings: GraphFinding[], count: (n: number) => void): ReadEdges {
  const byReceipt = new Map<Reference, EdgeLists>()
  const relations: Edge[] = []
  const listsOf = (ref: Reference): EdgeLists => {
    const lists = byReceipt.get(ref) ?? { consumes: [], produces: [] }
    byReceipt.set(ref, lists)
    return lists
  }
  for (const ref of store.references(TAG_EDGE)) {
    const edge = readOrFind(findings, 'edge-invalid', ref, () => decodeEdge(store.read(ref)))
    if (edge === undefined) continue
    count(1 + edge.from.length + edge.to.length)
    const [cause, effect] = [single(edge.from), single(edge.to)]
    switch (edge.type) {
      case EDGE_TYPES.CONSUMES:
        if (effect !== undefined) listsOf(effect).consumes.push(edge.from)
        break
      case EDGE_TYPES.PRODUCES:
        if (cause !== undefined) listsOf(cause).produces.push(edge.to)
        break
      case EDGE_TYPES.RUNS:
      case EDGE_TYPES.IN_ENVIRONMENT:
      case EDGE_TYPES.EXECUTED_BY:
        if (effect !== undefined) listsOf(effect)
        break
      default:
        relations.push(edge)
    }
  }
  return { byReceipt, relations }
}

interface Run {
  readonly ref: Reference
  readonly receipt: Receipt
}

interface ReadReceipts {
  readonly halves: ReadonlyMap<Reference, Receipt>
  readonly runs: ReadonlyMap<Reference, readonly Run[]>
}

function readReceipts(store: StoreReader, findings: GraphFinding[]): ReadReceipts {
  const halves = new Map<Reference, Receipt>()
  const runHalves = new Map<Reference, Receipt>()
  for (const ref of store.references(TAG_RECEIPT)) {
    const receipt = readOrFind(findings, 'receipt-invalid', ref, () => decodeReceipt(store.read(ref)))
    if (receipt !== undefined) (receipt.run === undefined ? halves : runHalves).set(ref, receipt)
  }
  return { halves, runs: groupRuns(halves, runHalves) }
}

/** A damaged or missing artifact is a finding that names it; a disk that does not answer is an error. */
function readOrFind<T>(findings: GraphFinding[], kind: GraphFindingKind, ref: Reference, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof AslError) || error.code === 'STORE_IO') throw error
    findings.push({ kind, ref, message: `Cannot read ${ref}: ${messageOf(error)}` })
    return undefined
  }
}

/** A run half belongs to the deterministic half that it projects to (reference §8.3): an edge could lie, this cannot. */
function groupRuns(
  halves: ReadonlyMap<Reference, Receipt>,
  runHalves: ReadonlyMap<Reference, Receipt>,
): ReadonlyMap<Reference, readonly Run[]> {
  const epochs = new Set([...halves.values()].map(half => half.startedAt))
  const runs = new Map<Reference, Run[]>()
  for (const [runRef, run] of runHalves) {
    for (const epoch of epochs) {
      const ref = receiptReference(deterministicHalf(run, epoch))
      if (halves.has(ref)) append(runs, ref, { ref: runRef, receipt: run })
    }
  }
  return runs
}

function nameOf(store: StoreReader, run: Receipt): string | undefined {
  const { step } = readRunDetails(store, run)
  return typeof step === 'string' && step !== '' ? step : undefined
}

function stepOf(
  base: Pick<GraphStep, 'ref' | 'name'>,
  details: ReceiptDetails | undefined,
  said: EdgeLists | undefined,
  findings: GraphFinding[],
): GraphStep {
  const { ref } = base
  if (details === undefined) return stepOfEdges(ref, said)
  const step = { ...base, inputs: details.inputs.entries, outputs: details.outputs.entries, details }
  if (said === undefined || said.consumes.length === 0 || said.produces.length === 0) {
    findings.push({ kind: 'receipt-without-edges', ref, message: `Receipt ${ref} lacks edges; its manifests stand in` })
  }
  for (const list of said?.consumes ?? []) checkEdge('CONSUMES', list, step.inputs, ref, findings)
  for (const list of said?.produces ?? []) checkEdge('PRODUCES', list, step.outputs, ref, findings)
  return step
}

function stepOfEdges(ref: Reference, said: EdgeLists | undefined): GraphStep {
  return {
    ref,
    inputs: (said?.consumes.flat() ?? []).map(input => ({ ref: input })),
    outputs: (said?.produces.flat() ?? []).map(output => ({ ref: output })),
    details: undefined,
  }
}

function checkEdge(
  type: string,
  list: readonly Reference[],
  entries: readonly { readonly ref: Reference }[],
  ref: Reference,
  findings: GraphFinding[],
): void {
  if (isSameList(list, entries)) return
  findings.push({
    kind: 'edge-disagrees',
    ref,
    message: `A ${type} edge of receipt ${ref} names other artifacts than its manifest; the manifest holds`,
  })
}

/** Manifests are sorted by name already, which is the order of an edge's list. */
function isSameList(list: readonly Reference[], entries: readonly { readonly ref: Reference }[]): boolean {
  return list.length === entries.length && list.every((ref, i) => ref === entries[i]?.ref)
}

function entryCounter(store: StoreReader, max: number): (n: number) => void {
  let entries = 0
  return n => {
    entries += n
    if (entries > max) {
      throw new AslError('LIMIT_EXCEEDED', `The trace graph of ${store.location} has more than ${max} entries`)
    }
  }
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}

function single<T>(list: readonly T[]): T | undefined {
  return list.length === 1 ? list[0] : undefined
}
