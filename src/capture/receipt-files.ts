import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { compareText, encodeJson, encodeReceipt, type Json, type Receipt, type Reference } from '../core/mod.ts'
import { tryReadFile, writeFileAtomic } from '../sys/mod.ts'
import { receiptView } from './receipt-view.ts'

/** First 16 digits of the deterministic receipt's digest: how its files are called (reference §8.5). */
export function receiptId(receiptRef: Reference): string {
  return receiptRef.slice(4, 20)
}

export interface ReceiptPaths {
  readonly fer: string
  readonly json: string
  readonly index: string
}

/** One receipt of a step, as `index.json` lists it. */
interface IndexEntry {
  readonly rid: string
  readonly ref: string
  readonly step: string
}

/**
 * Writes a deterministic receipt where people look for it: `<rid>.fer`, `<rid>.json`, and its line in `index.json`.
 * Several steps may share the folder; nothing of a run is in it, so it may be copied into an image.
 */
export function writeReceiptFiles(
  folder: string,
  receiptRef: Reference,
  receipt: Receipt,
  more: { readonly step: string; readonly view: Readonly<Record<string, Json>> },
): ReceiptPaths {
  const rid = receiptId(receiptRef)
  const paths = {
    fer: join(folder, `${rid}.fer`),
    json: join(folder, `${rid}.json`),
    index: join(folder, 'index.json'),
  }
  mkdirSync(folder, { recursive: true })
  writeFileAtomic(paths.fer, encodeReceipt(receipt))
  writeFileAtomic(paths.json, readable({ ...receiptView(receiptRef, receipt), ...more.view }))
  const others = readIndex(paths.index).filter(entry => entry.rid !== rid || entry.step !== more.step)
  const entries = [...others, { rid, ref: receiptRef, step: more.step }]
  entries.sort((a, b) => compareText(a.rid, b.rid) || compareText(a.step, b.step))
  writeFileAtomic(paths.index, encodeJson(entries.map(({ rid, ref, step }) => ({ rid, ref, step }))))
  return paths
}

/** Writes the run half and its logs: `<folder>/<rid>/<run id>/{run.fer,run.json,stdout,stderr}`. @returns that folder */
export function writeRunFiles(
  runsFolder: string,
  receiptRef: Reference,
  run: {
    readonly ref: Reference
    readonly receipt: Receipt
    readonly details: Readonly<Record<string, Json | undefined>>
  },
): string {
  const runId = run.receipt.run?.runId?.toString('hex') ?? ''
  const folder = join(runsFolder, receiptId(receiptRef), runId)
  mkdirSync(folder, { recursive: true })
  writeFileAtomic(join(folder, 'run.fer'), encodeReceipt(run.receipt))
  writeFileAtomic(join(folder, 'run.json'), readable({ ...receiptView(run.ref, run.receipt), details: run.details }))
  return folder
}

/** For people, and the same bytes for the same receipt: it may lie in an image. */
function readable(value: Json): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** The file is ours and canonical; what is no list of entries is made anew. */
function readIndex(path: string): IndexEntry[] {
  const bytes = tryReadFile(path)
  if (bytes === undefined) return []
  const value: unknown = JSON.parse(bytes.toString('utf8'))
  return Array.isArray(value) ? value.filter(isEntry) : []
}

function isEntry(value: unknown): value is IndexEntry {
  if (typeof value !== 'object' || value === null) return false
  const { rid, ref, step } = value as Record<string, unknown>
  return typeof rid === 'string' && typeof ref === 'string' && typeof step === 'string'
}
