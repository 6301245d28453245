import {
  COMMAND,
  compareReferences,
  EDGE_TYPES,
  type Edge,
  ENVIRONMENT,
  EVALUATOR_ID,
  EXECUTOR,
  edgesOf,
  encodeEdge,
  encodeJson,
  encodeReceipt,
  FINGERPRINT,
  type Fingerprint,
  INPUT_MANIFEST,
  type Json,
  KINDS,
  LOG_KINDS,
  OUTPUT_MANIFEST,
  type Receipt,
  type Reference,
  type RunLimits,
  type Sha256,
  type StepRecord,
  sha256,
  sha256Bytes,
  TAG_EDGE,
  TAG_RECEIPT,
} from '../core/mod.ts'
import type { StoreWriter } from '../store/mod.ts'

// What reads receipts stands below this room, where lineage reads them too; here under the names it always had.
export { edgesOf, type StepRecord } from '../core/mod.ts'
export { deterministicReceipts, type LoadedReceipt, loadReceipt } from '../store/mod.ts'

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
  readonly stdout: Buffer | StoredLog
  readonly stderr: Buffer | StoredLog
  /** Becomes the `asl.run-details` log: argv, cwd, host, user, trace and its completeness. */
  readonly details: Readonly<Record<string, Json | undefined>>
}

/** A log that is in the batch already, because it was too large to be held in memory. */
export interface StoredLog {
  readonly ref: Reference
  readonly sha256: Sha256
}

/**
 * Puts the run half of a receipt with its logs, linked to the deterministic half.
 * @returns the reference of the run half
 */
export function putRun(writer: StoreWriter, receiptRef: Reference, receipt: Receipt, run: RunRecord): Reference {
  const half = runHalf(writer, receipt, run)
  const runRef = writer.put(encodeReceipt(half), TAG_RECEIPT)
  const edge: Edge = { type: EDGE_TYPES.RUN_OF, from: [runRef], to: [receiptRef], payload: runRef }
  writer.put(encodeEdge(edge), TAG_EDGE)
  return runRef
}

/** Puts what the run half names. @returns the half itself */
export function runHalf(writer: StoreWriter, receipt: Receipt, run: RunRecord): Receipt {
  const details = encodeJson(run.details)
  const stored = (log: Buffer | StoredLog): StoredLog =>
    Buffer.isBuffer(log) ? { ref: writer.put(log), sha256: sha256(log) } : log
  const logs = [
    { kind: LOG_KINDS.stdout, ...stored(run.stdout) },
    { kind: LOG_KINDS.stderr, ...stored(run.stderr) },
    { kind: LOG_KINDS['run-details'], ref: writer.put(details, KINDS['asl.run-details']), sha256: sha256(details) },
  ]
  return {
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
}
