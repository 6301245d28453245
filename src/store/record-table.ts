import type { TypeTag } from '../core/mod.ts'
import { FingerprintTable, fingerprintOf } from './fingerprint-table.ts'

export const DIGEST_SIZE_BYTES = 32

/**
 * The artifacts of one batch on their way into a segment: columns of numbers, about 80 bytes an artifact, so that a
 * million of them fit into bounded memory. Each lies in one extent of one block.
 */
export class RecordTable {
  count = 0
  #capacity = 256
  #digests = new Uint8Array(this.#capacity * DIGEST_SIZE_BYTES)
  #typeTags = new Uint32Array(this.#capacity)
  #flags = new Uint8Array(this.#capacity)
  #totalLengths = new Float64Array(this.#capacity)
  #blocks = new Uint32Array(this.#capacity)
  #offsets = new Float64Array(this.#capacity)
  readonly #lookUp = new FingerprintTable()

  /** The row of a digest, or -1. */
  find(digest: Uint8Array): number {
    return this.#lookUp.find(fingerprintOf(digest), row => Buffer.compare(this.digest(row), digest) === 0)
  }

  add(digest: Uint8Array, row: RecordRow): void {
    if (this.count === this.#capacity) this.#grow()
    const i = this.count++
    this.#digests.set(digest, i * DIGEST_SIZE_BYTES)
    this.#typeTags[i] = row.typeTag ?? 0
    this.#flags[i] = (row.typeTag === undefined ? 0 : HAS_TAG) | (row.isContent ? IS_CONTENT : 0)
    this.#totalLengths[i] = row.totalLength
    this.#blocks[i] = row.block
    this.#offsets[i] = row.offset
    this.#lookUp.insert(fingerprintOf(digest), i)
  }

  digest(row: number): Uint8Array {
    return this.#digests.subarray(row * DIGEST_SIZE_BYTES, (row + 1) * DIGEST_SIZE_BYTES)
  }

  row(row: number): RecordRow {
    const flags = this.#flags[row] as number
    return {
      typeTag: (flags & HAS_TAG) === 0 ? undefined : (this.#typeTags[row] as TypeTag),
      isContent: (flags & IS_CONTENT) !== 0,
      totalLength: this.#totalLengths[row] as number,
      block: this.#blocks[row] as number,
      offset: this.#offsets[row] as number,
    }
  }

  /** Rows in ascending order of their digests. */
  sorted(): Uint32Array {
    return sortDigests(this.#digests, this.count)
  }

  #grow(): void {
    this.#capacity *= 2
    const wider = <T extends { set(from: T): void }>(column: T, empty: T): T => {
      empty.set(column)
      return empty
    }
    this.#digests = wider(this.#digests, new Uint8Array(this.#capacity * DIGEST_SIZE_BYTES))
    this.#typeTags = wider(this.#typeTags, new Uint32Array(this.#capacity))
    this.#flags = wider(this.#flags, new Uint8Array(this.#capacity))
    this.#totalLengths = wider(this.#totalLengths, new Float64Array(this.#capacity))
    this.#blocks = wider(this.#blocks, new Uint32Array(this.#capacity))
    this.#offsets = wider(this.#offsets, new Float64Array(this.#capacity))
  }
}

export interface RecordRow {
  readonly typeTag: TypeTag | undefined
  /** The extent covers the content alone, not ArtifactBytes. */
  readonly isContent: boolean
  /** Size of ArtifactBytes. */
  readonly totalLength: number
  /** Number of the block in the batch. */
  readonly block: number
  readonly offset: number
}

const HAS_TAG = 1
const IS_CONTENT = 2

/** The order of `count` digests that lie one after the other: indices, ascending by digest. */
export function sortDigests(digests: Uint8Array, count: number): Uint32Array {
  // 64-bit keys, digest prefix above index, sort natively; equal prefixes are then ordered by the whole digest.
  const keys = new BigUint64Array(count)
  const words = new Uint32Array(keys.buffer)
  const view = new DataView(digests.buffer, digests.byteOffset, digests.byteLength)
  for (let i = 0; i < count; i++) {
    words[2 * i] = i
    words[2 * i + 1] = view.getUint32(i * DIGEST_SIZE_BYTES)
  }
  keys.sort()
  const order = new Uint32Array(count)
  for (let i = 0; i < count; i++) order[i] = words[2 * i] as number
  const digest = (i: number): Uint8Array => digests.subarray(i * DIGEST_SIZE_BYTES, (i + 1) * DIGEST_SIZE_BYTES)
  for (let start = 0; start < count; ) {
    let end = start + 1
    while (end < count && words[2 * end + 1] === words[2 * start + 1]) end++
    if (end - start > 1) order.subarray(start, end).sort((a, b) => Buffer.compare(digest(a), digest(b)))
    start = end
  }
  return order
}
