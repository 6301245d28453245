import type { ErrorCode, Reference } from '../../core/mod.ts'

/** What a check can find. Codes that are errors elsewhere mean damage; the others are left-overs that cost only space. */
export type FindingCode =
  | Extract<
      ErrorCode,
      | 'CONFIG_INVALID'
      | 'STORE_UNSUPPORTED'
      | 'LOG_CHAIN_BROKEN'
      | 'LOG_TAIL_TORN'
      | 'INDEX_SEGMENT_MISSING'
      | 'INDEX_SEGMENT_HASH'
      | 'INDEX_SEGMENT_INVALID'
      | 'STORE_BLOCK_MISSING'
      | 'STORE_BLOCK_INVALID'
      | 'STORE_INTEGRITY'
      | 'SNAPSHOT_INVALID'
      | 'RECORD_INVALID'
      | 'STORE_IO'
    >
  | 'BLOCK_ORPHAN'
  | 'BLOCK_OPEN'
  | 'SEGMENT_UNNAMED'
  | 'SNAPSHOT_UNNAMED'
  | 'FILE_UNKNOWN'

const LEFT_OVERS: ReadonlySet<FindingCode> = new Set([
  'BLOCK_ORPHAN',
  'BLOCK_OPEN',
  'SEGMENT_UNNAMED',
  'SNAPSHOT_UNNAMED',
  'FILE_UNKNOWN',
])

export interface Finding {
  readonly code: FindingCode
  /** Damage means that something which was promised is not there or not as it was. */
  readonly isDamage: boolean
  readonly path: string
  readonly message: string
  /** Visible artifacts that cannot be read because of it, at most {@link MOST_REFERENCES}. */
  readonly references: readonly Reference[]
  readonly referenceCount: number
  readonly blockId?: string
}

export const MOST_REFERENCES = 1000

export interface CheckReport {
  readonly isClean: boolean
  readonly findings: readonly Finding[]
  readonly artifactCount: number
  readonly blockCount: number
  readonly segmentCount: number
  readonly snapshotCount: number
  readonly logRecordCount: number
  /** Bytes that were read and hashed. */
  readonly checkedBytes: number
  /** Blocks whose content is not what their name says: a writer must not rely on them. */
  readonly damagedBlocks: readonly string[]
}

export class Findings {
  readonly list: Finding[] = []

  add(
    code: FindingCode,
    path: string,
    message: string,
    more: { readonly references?: readonly Reference[]; readonly blockId?: string } = {},
  ): void {
    const references = more.references ?? []
    this.list.push({
      code,
      isDamage: !LEFT_OVERS.has(code),
      path,
      message,
      references: references.slice(0, MOST_REFERENCES),
      referenceCount: references.length,
      ...(more.blockId === undefined ? {} : { blockId: more.blockId }),
    })
  }
}
