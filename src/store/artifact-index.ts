import { AslError, type Reference, referenceDigest, referenceFromDigest, type TypeTag } from '../core/mod.ts'
import { FingerprintTable, fingerprintOf } from './fingerprint-table.ts'
import { DIGEST_SIZE_BYTES, sortDigests } from './record-table.ts'
import { RECORD_FLAGS, SEGMENT_RECORD_SIZE_BYTES } from './segment-codec.ts'
import type { Extent, SegmentFile, SegmentRecord } from './segment-file.ts'

export interface IndexedArtifact extends SegmentRecord {
  readonly reference: Reference
  readonly segment: SegmentFile
  extents(): Extent[]
}

/**
 * Look-up over all segments: fingerprints in memory (8 bytes a slot), everything else read from the segment on a hit.
 * Records are numbered through all segments in seal order; of several records for one artifact the newest counts.
 */
export class ArtifactIndex {
  readonly segments: SegmentFile[] = []
  readonly #table = new FingerprintTable()
  /** Number of the first record of each segment. */
  readonly #bases: number[] = []
  /** Sizes of content that lies in blocks of its own: content of another size cannot be one of them. */
  readonly #contentSizes = new Set<number>()
  readonly #domainNum: number
  #recordCount = 0

  constructor(domainNum: number) {
    this.#domainNum = domainNum
  }

  /** Number of distinct artifacts that have a record. */
  get count(): number {
    return this.#table.count
  }

  hasContentOfSize(sizeBytes: number): boolean {
    return this.#contentSizes.has(sizeBytes)
  }

  /** The segment sealed next. */
  add(segment: SegmentFile): void {
    const base = this.#recordCount
    this.segments.push(segment)
    this.#bases.push(base)
    this.#recordCount += segment.recordCount
    this.#table.reserve(this.#table.count + segment.recordCount)
    const perPiece = Math.min(1 << 14, segment.recordCount)
    const digestPiece = Buffer.allocUnsafe(perPiece * DIGEST_SIZE_BYTES)
    const recordPiece = Buffer.allocUnsafe(perPiece * SEGMENT_RECORD_SIZE_BYTES)
    for (let start = 0; start < segment.recordCount; start += perPiece) {
      const end = Math.min(segment.recordCount, start + perPiece)
      const digests = segment.digests(start, end, digestPiece)
      segment.scan(start, end, recordPiece, (index, flags, domainNum, totalLength) => {
        // A tombstone of another domain hides nothing here.
        if ((flags & RECORD_FLAGS.tombstone) !== 0 && domainNum !== this.#domainNum) return
        if ((flags & RECORD_FLAGS.contentExtents) !== 0) {
          this.#contentSizes.add(totalLength - ((flags & RECORD_FLAGS.hasTypeTag) === 0 ? 9 : 13))
        }
        const at = (index - start) * DIGEST_SIZE_BYTES
        const fingerprint = fingerprintOf(digests, at)
        // Digests of one segment differ from each other: only earlier segments can hold the same.
        if (base === 0) this.#table.insert(fingerprint, index)
        else {
          const digest = digests.subarray(at, at + DIGEST_SIZE_BYTES)
          this.#table.replace(fingerprint, base + index, other => other < base && this.#isDigest(other, digest))
        }
      })
    }
  }

  /** The newest record of an artifact; `undefined` when there is none or it is a tombstone. */
  tryFind(reference: Reference): IndexedArtifact | undefined {
    const digest = referenceDigest(reference)
    const number = this.findNumber(digest)
    return number < 0 ? undefined : this.#artifact(number, reference)
  }

  /** The number of the newest record of a digest, or -1. */
  findNumber(digest: Uint8Array): number {
    return this.#table.find(fingerprintOf(digest), number => this.#isDigest(number, digest))
  }

  /** Newest records, in ascending order of references. */
  *artifacts(): Iterable<IndexedArtifact> {
    const numbers = new Uint32Array(this.#table.count)
    const digests = new Uint8Array(this.#table.count * DIGEST_SIZE_BYTES)
    let filled = 0
    for (const number of this.#sortedNumbers()) {
      const { segment, index } = this.#locate(number)
      numbers[filled] = number
      digests.set(this.#cachedDigest(segment, index), filled * DIGEST_SIZE_BYTES)
      filled++
    }
    for (const i of sortDigests(digests, filled)) {
      const digest = digests.subarray(i * DIGEST_SIZE_BYTES, (i + 1) * DIGEST_SIZE_BYTES)
      const artifact = this.#artifact(numbers[i] as number, referenceFromDigest(digest))
      if (artifact !== undefined) yield artifact
    }
  }

  /** Sizes and tags in record order, cheaper than {@link artifacts} when the order does not matter. */
  #sortedNumbers(): Uint32Array {
    return Uint32Array.from(this.#table.values()).sort()
  }

  #artifact(number: number, reference: Reference): IndexedArtifact | undefined {
    const { segment, index } = this.#locate(number)
    const record = segment.record(index)
    if (record.isTombstone) return undefined
    return { ...record, reference, segment, extents: () => segment.extents(record) }
  }

  #isDigest(number: number, digest: Uint8Array): boolean {
    const { segment, index } = this.#locate(number)
    return segment.isDigest(index, digest)
  }

  #locate(number: number): { segment: SegmentFile; index: number } {
    let low = 0
    let high = this.#bases.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#bases[middle] as number) <= number) low = middle
      else high = middle - 1
    }
    const segment = this.segments[low]
    if (segment === undefined) throw new AslError('INDEX_SEGMENT_INVALID', `No segment holds record ${number}`)
    return { segment, index: number - (this.#bases[low] as number) }
  }

  /** Digests are asked for in ascending record order, so one piece of one segment serves many. */
  #cachedDigest(segment: SegmentFile, index: number): Uint8Array {
    const window = this.#digestWindow
    if (window.segment !== segment || index < window.start || index >= window.end) {
      window.segment = segment
      window.start = index
      window.end = Math.min(segment.recordCount, index + WINDOW_DIGESTS)
      segment.digests(window.start, window.end, window.bytes)
    }
    const at = (index - window.start) * DIGEST_SIZE_BYTES
    return window.bytes.subarray(at, at + DIGEST_SIZE_BYTES)
  }

  readonly #digestWindow: { segment: SegmentFile | undefined; start: number; end: number; bytes: Buffer } = {
    segment: undefined,
    start: 0,
    end: 0,
    bytes: Buffer.allocUnsafe(WINDOW_DIGESTS * DIGEST_SIZE_BYTES),
  }
}

const WINDOW_DIGESTS = 1024

/** `null` asks for untagged content. */
export function hasTag(record: { readonly typeTag: TypeTag | undefined }, wanted: TypeTag | null | undefined): boolean {
  return wanted === undefined || (record.typeTag ?? null) === wanted
}
