import { type ByteSource, checkInside, type Extent } from './byte-source.ts'
import { formatError } from './format-error.ts'

export interface MbrPartition {
  /** 1 to 4 for those in the first sector, from 5 for logical ones. */
  readonly number: number
  /** 0x0C FAT32, 0x83 Linux, 0xEF EFI system, 0xEE the cover of a GPT, … */
  readonly type: number
  readonly isActive: boolean
  readonly firstLba: number
  readonly sectors: number
  readonly extent: Extent
}

export interface Mbr {
  /** Base of the partitions' PARTUUIDs. */
  readonly diskSignature: number
  readonly partitions: readonly MbrPartition[]
  /** A single cover for a GPT that holds the real table. */
  readonly isProtective: boolean
}

const SECTOR_BYTES = 512
const TABLE_OFFSET = 446
const ENTRY_BYTES = 16
const GPT_COVER = 0xee
const EXTENDED_TYPES = [0x05, 0x0f, 0x85]
const MAX_LOGICAL = 128

/** Reads a master boot record and its chain of logical partitions; `undefined` without the boot signature. */
export function tryReadMbr(source: ByteSource): Mbr | undefined {
  if (source.sizeBytes < SECTOR_BYTES) return undefined
  const sector = source.read(0, SECTOR_BYTES)
  if (!hasSignature(sector)) return undefined
  const partitions: MbrPartition[] = []
  for (let index = 0; index < 4; index++) {
    const entry = entryAt(sector, index)
    if (entry === undefined) continue
    partitions.push(partitionOf(source, entry, index + 1, 0))
    if (EXTENDED_TYPES.includes(entry.type)) partitions.push(...logicalPartitions(source, entry.first))
  }
  const isProtective = partitions.length === 1 && partitions[0]?.type === GPT_COVER
  return { diskSignature: sector.readUInt32LE(440), partitions, isProtective }
}

interface Entry {
  readonly isActive: boolean
  readonly type: number
  readonly first: number
  readonly sectors: number
}

function hasSignature(sector: Buffer): boolean {
  return sector[510] === 0x55 && sector[511] === 0xaa
}

function entryAt(sector: Buffer, index: number): Entry | undefined {
  const at = TABLE_OFFSET + index * ENTRY_BYTES
  const type = sector[at + 4] as number
  if (type === 0) return undefined
  return {
    isActive: sector[at] === 0x80,
    type,
    first: sector.readUInt32LE(at + 8),
    sectors: sector.readUInt32LE(at + 12),
  }
}

function partitionOf(source: ByteSource, entry: Entry, number: number, base: number): MbrPartition {
  const firstLba = base + entry.first
  const extent = { offset: firstLba * SECTOR_BYTES, sizeBytes: entry.sectors * SECTOR_BYTES }
  // a cover's size is a number that old tools show: often larger than the disk, and capped on a large one
  if (entry.type !== GPT_COVER) checkInside(source, extent.offset, extent.sizeBytes, `MBR partition ${number}`)
  return { number, type: entry.type, isActive: entry.isActive, firstLba, sectors: entry.sectors, extent }
}

/** Each link of the chain holds one partition, counted from itself, and the next link, counted from the first. */
function logicalPartitions(source: ByteSource, start: number): MbrPartition[] {
  const found: MbrPartition[] = []
  const seen = new Set<number>()
  for (let lba: number | undefined = start; lba !== undefined; ) {
    const place = `extended boot record at LBA ${lba}`
    if (seen.has(lba) || seen.size >= MAX_LOGICAL) throw formatError(source, place, 'the chain does not end')
    seen.add(lba)
    checkInside(source, lba * SECTOR_BYTES, SECTOR_BYTES, place)
    const sector = source.read(lba * SECTOR_BYTES, SECTOR_BYTES)
    if (!hasSignature(sector)) throw formatError(source, place, 'has no signature')
    const entry = entryAt(sector, 0)
    if (entry !== undefined) found.push(partitionOf(source, entry, 5 + found.length, lba))
    const next = entryAt(sector, 1)
    lba = next === undefined ? undefined : start + next.first
  }
  return found
}
