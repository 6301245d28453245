import { compareText } from './bytes.ts'
import { EDGE_TYPES, type Edge } from './edge.ts'
import type { Receipt } from './receipt.ts'
import type { Reference } from './reference.ts'
import type { Command, Environment, Executor, InputManifest, OutputManifest } from './step.ts'

/** What a step was, what it read and what it made: everything the deterministic half of its receipt speaks of. */
export interface StepRecord {
  readonly command: Command
  readonly inputs: InputManifest
  readonly environment: Environment
  readonly outputs: OutputManifest
  readonly executors: readonly Executor[]
}

/** The edges that go into an image, derived from a deterministic receipt and its manifests (reference §10). */
export function edgesOf(
  receipt: Receipt,
  receiptRef: Reference,
  record: Pick<StepRecord, 'inputs' | 'outputs'>,
): readonly Edge[] {
  const { inputManifestRef, outputRef, functionRef, environmentRef, executorRefs } = receipt
  const to = [receiptRef]
  return [
    { type: EDGE_TYPES.CONSUMES, from: sortedRefs(record.inputs), to, payload: inputManifestRef },
    { type: EDGE_TYPES.PRODUCES, from: to, to: sortedRefs(record.outputs), payload: outputRef },
    { type: EDGE_TYPES.RUNS, from: [functionRef], to, payload: receiptRef },
    { type: EDGE_TYPES.IN_ENVIRONMENT, from: [environmentRef], to, payload: receiptRef },
    { type: EDGE_TYPES.EXECUTED_BY, from: executorRefs, to, payload: receiptRef },
  ]
}

function sortedRefs(manifest: {
  readonly entries: readonly { readonly name: string; readonly ref: Reference }[]
}): readonly Reference[] {
  return manifest.entries.toSorted((a, b) => compareText(a.name, b.name)).map(entry => entry.ref)
}
