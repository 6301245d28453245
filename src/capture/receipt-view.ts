import type { Json, Receipt, Reference } from '../core/mod.ts'

/** A receipt as JSON for people and programs; names follow the upstream API object where it has one (reference §8.5). */
export function receiptView(receiptRef: Reference, receipt: Receipt): Readonly<Record<string, Json>> {
  const { run } = receipt
  return {
    receipt_ref: receiptRef,
    fer1_version: run === undefined ? '0x0001' : '0x0101',
    function_ref: receipt.functionRef,
    input_manifest_ref: receipt.inputManifestRef,
    environment_ref: receipt.environmentRef,
    evaluator_id: receipt.evaluatorId,
    output_ref: receipt.outputRef,
    executor_refs: receipt.executorRefs,
    parity: receipt.parity.map(entry => ({
      executor_ref: entry.executorRef,
      output_ref: entry.outputRef,
      sbom_ref: entry.sbomRef ?? null,
      parity_digest: entry.parityDigest.toString('hex'),
    })),
    started_at: receipt.startedAt,
    completed_at: receipt.completedAt,
    extensions:
      run === undefined
        ? {}
        : {
            executor_fingerprint_ref: run.fingerprintRef ?? null,
            run_id: run.runId?.toString('hex') ?? null,
            logs: (run.logs ?? []).map(({ kind, ref, sha256 }) => ({ kind, ref, sha256 })),
            limits: run.limits === undefined ? {} : limitsView(run.limits),
            determinism:
              run.determinism === undefined
                ? {}
                : { level: run.determinism.level, seed: run.determinism.seed.toString('hex') },
            signature: run.signature?.toString('hex') ?? null,
          },
  }
}

function limitsView(limits: NonNullable<NonNullable<Receipt['run']>['limits']>): Readonly<Record<string, Json>> {
  return {
    cpu_ms: limits.cpuMs,
    wall_ms: limits.wallMs,
    max_rss_kib: limits.maxRssKib,
    io_reads: limits.ioReads,
    io_writes: limits.ioWrites,
  }
}
