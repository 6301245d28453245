import {
  AslError,
  type CborValue,
  type Field,
  hash,
  list,
  optional,
  type RecordOf,
  record,
  reference,
  type Sha256,
  type Structure,
  sortedList,
  structure,
  text,
  uint,
} from '../core/mod.ts'

/** `snapshot.cbor`, kind `asl.snapshot` (reference §7): a state of the store that can be named, signed and pinned. */
export type Snapshot = RecordOf<typeof SNAPSHOT_FIELDS>

type NamedSegment = readonly [segmentId: number, segmentHash: Sha256]

/** Written as `[segment_id, segment_hash]`. */
const namedSegment: Field<NamedSegment> = {
  toWire: ([id, segmentHash]) => [uint.toWire(id), hash.toWire(segmentHash)],
  fromWire: (wire, path) => {
    const pair = Array.isArray(wire) ? (wire as readonly CborValue[]) : []
    const [id, segmentHash] = pair
    if (pair.length !== 2 || id === undefined || segmentHash === undefined) {
      throw new AslError('RECORD_INVALID', `${path}: wants [segment_id, segment_hash]`)
    }
    return [uint.fromWire(id, `${path}[0]`), hash.fromWire(segmentHash, `${path}[1]`)]
  },
}

const SNAPSHOT_FIELDS = {
  domainId: text,
  /** Counts from 0, the genesis. */
  snapshotId: uint,
  /** The last log record that belongs to it; the anchor is the next one. */
  logPrefix: uint,
  logHash: hash,
  /** In seal order. */
  segments: list(namedSegment),
  /** The blocks that the segments refer to. */
  blocks: sortedList(hash, blockId => blockId),
  /** Absent only for the first. */
  previous: optional(record({ snapshotId: uint, rootHash: hash })),
  damRef: optional(reference),
  policyRef: optional(reference),
  witnessRef: optional(reference),
  envClaimRef: optional(reference),
}

export const SNAPSHOT: Structure<Snapshot> = structure('asl.snapshot', SNAPSHOT_FIELDS, { maxBytes: 1024 ** 3 })
