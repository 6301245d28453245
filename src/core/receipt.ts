import { referenceOf } from './artifact.ts'
import type { Sha256 } from './digest.ts'
import { AslError } from './error.ts'
import { compareReferences, type Reference } from './reference.ts'
import { TAG_RECEIPT } from './type-tag.ts'
import { type WireReader, type WireWriter, wireReader, wireWriter } from './wire.ts'

/**
 * ReceiptBytes, the encoding of a PER (FER/1, reference §8.1–8.3). A receipt has two halves: the *deterministic* one
 * (version 1, times = SOURCE_DATE_EPOCH, no extensions) may live inside an image; the *run* half (version 1.1) says
 * when, where and how, and stays outside.
 */
export interface Receipt {
  readonly functionRef: Reference
  readonly inputManifestRef: Reference
  readonly environmentRef: Reference
  readonly evaluatorId: string
  readonly outputRef: Reference
  readonly executorRefs: readonly Reference[]
  readonly parity: readonly ParityEntry[]
  /** Whole seconds since 1970. */
  readonly startedAt: number
  readonly completedAt: number
  /** Present in the run half only. */
  readonly run?: RunExtensions
}

export interface ParityEntry {
  readonly executorRef: Reference
  readonly outputRef: Reference
  readonly sbomRef?: Reference
  /** Raw hash of the output manifest's bytes. */
  readonly parityDigest: Buffer
}

export interface RunExtensions {
  readonly fingerprintRef?: Reference
  readonly runId?: Buffer
  readonly logs?: readonly RunLog[]
  readonly limits?: RunLimits
  readonly determinism?: { readonly level: number; readonly seed: Buffer }
  /** `01`, public key 32, signature 64. */
  readonly signature?: Buffer
}

export const LOG_KINDS = { stdin: 1, stdout: 2, stderr: 3, transcript: 4, 'run-details': 5 } as const

export interface RunLog {
  readonly kind: number
  readonly ref: Reference
  readonly sha256: Sha256
}

/** What the run used; ceilings belong to the command. */
export interface RunLimits {
  readonly cpuMs: number
  readonly wallMs: number
  readonly maxRssKib: number
  readonly ioReads: number
  readonly ioWrites: number
}

/** Levels of determinism: 0 unknown, 1 all inputs declared, 2 isolated, 3 rebuilt with equal output. */
export const DETERMINISM = { unknown: 0, declared: 1, isolated: 2, rebuilt: 3 } as const

const VERSION_DETERMINISTIC = 0x0001
const VERSION_RUN = 0x0101
const TLV = { fingerprint: 1, runId: 2, logs: 3, limits: 4, determinism: 5, signature: 6 } as const
const SIGNATURE_SIZE_BYTES = 97

/** @throws AslError RECEIPT_INVALID when the receipt breaks a rule of its own */
export function encodeReceipt(receipt: Receipt): Buffer {
  checkReceipt(receipt)
  const out = wireWriter()
    .u16(receipt.run === undefined ? VERSION_DETERMINISTIC : VERSION_RUN)
    .reference(receipt.functionRef)
    .reference(receipt.inputManifestRef)
    .reference(receipt.environmentRef)
    .lengthPrefixed(Buffer.from(receipt.evaluatorId))
    .reference(receipt.outputRef)
    .u32(receipt.executorRefs.length)
  for (const ref of receipt.executorRefs) out.reference(ref)
  out.u32(receipt.parity.length)
  for (const entry of receipt.parity) {
    out.reference(entry.executorRef).reference(entry.outputRef)
    if (entry.sbomRef === undefined) out.u8(0)
    else out.u8(1).reference(entry.sbomRef)
    out.lengthPrefixed(entry.parityDigest)
  }
  out.u64(receipt.startedAt).u64(receipt.completedAt)
  if (receipt.run !== undefined) writeExtensions(out, receipt.run)
  return out.bytes()
}

/** @throws AslError RECEIPT_INVALID; the input is foreign */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  const reader = wireReader(bytes, 'RECEIPT_INVALID', 'receipt')
  const version = reader.u16()
  if (version !== VERSION_DETERMINISTIC && version !== VERSION_RUN) {
    throw invalid(`version is 0x${version.toString(16)}, this program knows 0x1 and 0x101`)
  }
  const base = {
    functionRef: reader.reference(),
    inputManifestRef: reader.reference(),
    environmentRef: reader.reference(),
    evaluatorId: reader.lengthPrefixed().toString('utf8'),
    outputRef: reader.reference(),
    executorRefs: Array.from({ length: reader.count(38) }, () => reader.reference()),
    parity: Array.from({ length: reader.count(81) }, () => readParity(reader)),
    startedAt: reader.u64(),
    completedAt: reader.u64(),
  }
  const receipt = version === VERSION_RUN ? { ...base, run: readExtensions(reader) } : base
  reader.end()
  checkReceipt(receipt)
  return receipt
}

export function receiptReference(receipt: Receipt): Reference {
  return referenceOf(encodeReceipt(receipt), TAG_RECEIPT)
}

/** The deterministic half that a run half must equal byte for byte once its times and extensions are dropped. */
export function deterministicHalf(receipt: Receipt, sourceDateEpoch: number): Receipt {
  const { run: _run, ...base } = receipt
  return { ...base, startedAt: sourceDateEpoch, completedAt: sourceDateEpoch }
}

function checkReceipt(receipt: Receipt): void {
  const { executorRefs, parity } = receipt
  if (executorRefs.length === 0) throw invalid('no executor is named')
  if (parity.length !== executorRefs.length) {
    throw invalid(`${parity.length} parity entries for ${executorRefs.length} executors`)
  }
  for (const [i, entry] of parity.entries()) {
    if (entry.outputRef !== receipt.outputRef) throw invalid(`parity entry ${i} names another output`)
    if (entry.executorRef !== executorRefs[i]) throw invalid(`parity entry ${i} names another executor`)
  }
  for (let i = 1; i < executorRefs.length; i++) {
    if (compareReferences(executorRefs[i - 1] as Reference, executorRefs[i] as Reference) >= 0) {
      throw invalid('executors are not in ascending order')
    }
  }
  if (receipt.startedAt > receipt.completedAt) throw invalid('it completed before it started')
}

function readParity(reader: WireReader): ParityEntry {
  const executorRef = reader.reference()
  const outputRef = reader.reference()
  const hasSbom = reader.u8()
  if (hasSbom > 1) throw invalid(`sbom flag is ${hasSbom}`)
  const sbom = hasSbom === 1 ? { sbomRef: reader.reference() } : {}
  return { executorRef, outputRef, ...sbom, parityDigest: reader.lengthPrefixed() }
}

function writeExtensions(out: WireWriter, run: RunExtensions): void {
  const tlv = (tag: number, value: WireWriter): void => void out.u16(tag).lengthPrefixed(value.bytes())
  if (run.fingerprintRef !== undefined) tlv(TLV.fingerprint, wireWriter().reference(run.fingerprintRef))
  if (run.runId !== undefined) tlv(TLV.runId, wireWriter().lengthPrefixed(run.runId))
  if (run.logs !== undefined) {
    const logs = run.logs.toSorted(compareLogs)
    const value = wireWriter().u32(logs.length)
    for (const log of logs) value.u32(log.kind).reference(log.ref).lengthPrefixed(Buffer.from(log.sha256, 'hex'))
    tlv(TLV.logs, value)
  }
  if (run.limits !== undefined) {
    const { cpuMs, wallMs, maxRssKib, ioReads, ioWrites } = run.limits
    tlv(TLV.limits, wireWriter().u64(cpuMs).u64(wallMs).u64(maxRssKib).u64(ioReads).u64(ioWrites))
  }
  if (run.determinism !== undefined) {
    tlv(TLV.determinism, wireWriter().u8(run.determinism.level).lengthPrefixed(run.determinism.seed))
  }
  if (run.signature !== undefined) tlv(TLV.signature, wireWriter().raw(run.signature))
}

function readExtensions(reader: WireReader): RunExtensions {
  const run: { -readonly [K in keyof RunExtensions]: RunExtensions[K] } = {}
  let previousTag = 0
  while (reader.remaining > 0) {
    const tag = reader.u16()
    if (tag <= previousTag) throw invalid(`extension ${tag} does not follow ${previousTag} in order`)
    previousTag = tag
    const value = wireReader(reader.lengthPrefixed(), 'RECEIPT_INVALID', `receipt extension ${tag}`)
    switch (tag) {
      case TLV.fingerprint:
        run.fingerprintRef = value.reference()
        break
      case TLV.runId:
        run.runId = value.lengthPrefixed()
        break
      case TLV.logs:
        run.logs = readLogs(value)
        break
      case TLV.limits:
        run.limits = {
          cpuMs: value.u64(),
          wallMs: value.u64(),
          maxRssKib: value.u64(),
          ioReads: value.u64(),
          ioWrites: value.u64(),
        }
        break
      case TLV.determinism:
        run.determinism = { level: value.u8(), seed: value.lengthPrefixed() }
        break
      case TLV.signature:
        run.signature = value.raw(SIGNATURE_SIZE_BYTES)
        if (run.signature[0] !== 1) throw invalid(`signature form is ${run.signature[0]}, not 1`)
        break
      default:
        throw invalid(`extension ${tag} is not known`)
    }
    value.end()
  }
  return run
}

function readLogs(value: WireReader): RunLog[] {
  const logs = Array.from({ length: value.count(46) }, () => ({
    kind: value.u32(),
    ref: value.reference(),
    sha256: value.lengthPrefixed().toString('hex') as Sha256,
  }))
  for (let i = 1; i < logs.length; i++) {
    if (compareLogs(logs[i - 1] as RunLog, logs[i] as RunLog) >= 0) throw invalid('logs are not in ascending order')
  }
  return logs
}

function compareLogs(a: RunLog, b: RunLog): number {
  return a.kind - b.kind || compareReferences(a.ref, b.ref)
}

function invalid(reason: string): AslError {
  return new AslError('RECEIPT_INVALID', `Not a receipt: ${reason}`)
}
