import {
  AslError,
  COMMAND,
  type Command,
  compareReferences,
  decodeReceipt,
  EDGE_TYPES,
  type Edge,
  ENVIRONMENT,
  type Environment,
  EVALUATOR_ID,
  EXECUTOR,
  type Executor,
  encodeEdge,
  encodeJson,
  encodeReceipt,
  FINGERPRINT,
  type Fingerprint,
  INPUT_MANIFEST,
  type InputManifest,
  type Json,
  KINDS,
  LOG_KINDS,
  OUTPUT_MANIFEST,
  type OutputManifest,
  type Receipt,
  type Reference,
  type RunLimits,
  sha256,
  sha256Bytes,
  TAG_EDGE,
  TAG_RECEIPT,
} from '../core/mod.ts'
import type { StoreReader, StoreWriter } from '../store/mod.ts'

/** What a step was, what it read and what it made: everything the deterministic half of its receipt speaks of. */
export interface StepRecord {
  readonly command: Command
  readonly inputs: InputManifest
  readonly environment: Environment
  readonly outputs: OutputManifest
  readonly executors: readonly Executor[]
}

/**
 * Puts the artifacts of a step, its deterministic receipt and the receipt's edges. The contents that the manifests
 * name must be in the store or in the same batch.
 * @returns the deterministic receipt and its reference
 */
export function putReceipt(
  writer: StoreWriter,
  record: StepRecord,
): { readonly receiptRef: Reference; readonly receipt: Receipt } {
  const outputBytes = OUTPUT_MANIFEST.encode(record.outputs)
  const outputRef = writer.put(outputBytes, KINDS['asl.output-manifest'])
  const executorRefs = record.executors
    .map(executor => writer.put(EXECUTOR.encode(executor), KINDS['asl.executor']))
    .sort(compareReferences)
  const epoch = record.environment.sourceDateEpoch
  const receipt: Receipt = {
    functionRef: writer.put(COMMAND.encode(record.command), KINDS['asl.command']),
    inputManifestRef: writer.put(INPUT_MANIFEST.encode(record.inputs), KINDS['asl.input-manifest']),
    environmentRef: writer.put(ENVIRONMENT.encode(record.environment), KINDS['asl.environment']),
    evaluatorId: EVALUATOR_ID,
    outputRef,
    executorRefs,
    parity: executorRefs.map(executorRef => ({ executorRef, outputRef, parityDigest: sha256Bytes(outputBytes) })),
    startedAt: epoch,
    completedAt: epoch,
  }
  const receiptRef = writer.put(encodeReceipt(receipt), TAG_RECEIPT)
  for (const edge of edgesOf(receipt, receiptRef, record)) writer.put(encodeEdge(edge), TAG_EDGE)
  return { receiptRef, receipt }
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

/** When, where and how a step ran; the half that stays outside images. */
export interface RunRecord {
  /** Whole seconds since 1970. */
  readonly startedAt: number
  readonly completedAt: number
  /** 16 random bytes. */
  readonly runId: Buffer
  readonly fingerprint: Fingerprint
  readonly limits: RunLimits
  readonly determinismLevel: number
  readonly stdout: Buffer
  readonly stderr: Buffer
  /** Becomes the `asl.run-details` log: argv, cwd, host, user, trace and its completeness. */
  readonly details: Readonly<Record<string, Json | undefined>>
}

/**
 * Puts the run half of a receipt with its logs, linked to the deterministic half.
 * @returns the reference of the run half
 */
export function putRun(writer: StoreWriter, receiptRef: Reference, receipt: Receipt, run: RunRecord): Reference {
  const details = encodeJson(run.details)
  const logs = [
    { kind: LOG_KINDS.stdout, ref: writer.put(run.stdout), sha256: sha256(run.stdout) },
    { kind: LOG_KINDS.stderr, ref: writer.put(run.stderr), sha256: sha256(run.stderr) },
    { kind: LOG_KINDS['run-details'], ref: writer.put(details, KINDS['asl.run-details']), sha256: sha256(details) },
  ]
  const half: Receipt = {
    ...receipt,
    startedAt: run.startedAt,
    completedAt: run.completedAt,
    run: {
      fingerprintRef: writer.put(FINGERPRINT.encode(run.fingerprint), KINDS['asl.fingerprint']),
      runId: run.runId,
      logs,
      limits: run.limits,
      determinism: { level: run.determinismLevel, seed: Buffer.alloc(0) },
    },
  }
  const runRef = writer.put(encodeReceipt(half), TAG_RECEIPT)
  const edge: Edge = { type: EDGE_TYPES.RUN_OF, from: [runRef], to: [receiptRef], payload: runRef }
  writer.put(encodeEdge(edge), TAG_EDGE)
  return runRef
}

/** A receipt with everything it names decoded. */
export interface LoadedReceipt extends StepRecord {
  readonly ref: Reference
  readonly receipt: Receipt
}

/** @throws AslError STORE_NOT_FOUND, RECEIPT_INVALID, RECORD_INVALID */
export function loadReceipt(store: StoreReader, ref: Reference): LoadedReceipt {
  const stat = store.tryStat(ref)
  if (stat !== undefined && stat.typeTag !== TAG_RECEIPT) {
    throw new AslError('RECEIPT_INVALID', `${ref} in ${store.location} is no receipt`)
  }
  const receipt = decodeReceipt(store.read(ref))
  return {
    ref,
    receipt,
    command: COMMAND.decode(store.read(receipt.functionRef)),
    inputs: INPUT_MANIFEST.decode(store.read(receipt.inputManifestRef)),
    environment: ENVIRONMENT.decode(store.read(receipt.environmentRef)),
    outputs: OUTPUT_MANIFEST.decode(store.read(receipt.outputRef)),
    executors: receipt.executorRefs.map(executorRef => EXECUTOR.decode(store.read(executorRef))),
  }
}

/** All deterministic receipts of a store, ascending by reference. */
export function* deterministicReceipts(store: StoreReader): Iterable<LoadedReceipt> {
  for (const ref of store.references(TAG_RECEIPT)) {
    if (decodeReceipt(store.read(ref)).run === undefined) yield loadReceipt(store, ref)
  }
}

function sortedRefs(manifest: {
  readonly entries: readonly { readonly name: string; readonly ref: Reference }[]
}): readonly Reference[] {
  return manifest.entries
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
    .map(entry => entry.ref)
}
