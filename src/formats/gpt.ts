import { crc32 } from 'node:zlib'
import { isAslError, messageOf } from '../core/mod.ts'
import { type ByteSource, checkInside, type Extent } from './byte-source.ts'
import { formatError } from './format-error.ts'
import { formatGuid, ZERO_GUID } from './guid.ts'

export interface GptPartition {
  /** Index of its entry, from 1. */
  readonly number: number
  readonly typeGuid: string
  readonly guid: string
  readonly name: string
  readonly firstLba: number
  readonly lastLba: number
  readonly attributes: bigint
  readonly extent: Extent
}

export interface Gpt {
  readonly sectorBytes: number
  readonly diskGuid: string
  readonly firstUsableLba: number
  readonly lastUsableLba: number
  /** In the order of their entries. */
  readonly partitions: readonly GptPartition[]
  /** Which copy was read: the backup when the primary one is damaged. */
  readonly copy: 'primary' | 'backup'
  /** What is wrong with the other copy, when something is. */
  readonly otherCopyProblem: string | undefined
}

const SIGNATURE = 'EFI PART'
const REVISION = 0x00010000
const MIN_HEADER_BYTES = 92
const ENTRY_BYTES = 128
/** 16 KiB is what everybody writes; a table that wants more than a MiB wants our memory. */
const MAX_TABLE_BYTES = 1 << 20

/**
 * Reads a GUID partition table (UEFI 2.10 §5.3), both copies checked; `undefined` when neither is there.
 * @throws AslError FORMAT_INVALID when there is a table and no copy of it is sound
 */
export function tryReadGpt(source: ByteSource): Gpt | undefined {
  for (const sectorBytes of [512, 4096]) {
    const lastLba = Math.floor(source.sizeBytes / sectorBytes) - 1
    if (lastLba < 2) continue
    if (![1, lastLba].some(lba => hasSignature(source, sectorBytes, lba))) continue
    const primary = attempt(() => readCopy(source, sectorBytes, 1))
    // the backup lies where the primary says, or at the end when the primary cannot say
    const backupLba = 'alternateLba' in primary ? primary.alternateLba : lastLba
    const backup = attempt(() => readCopy(source, sectorBytes, backupLba))
    if ('alternateLba' in primary) {
      const problem = 'problem' in backup ? backup.problem : differenceOf(primary, backup)
      return tableOf(primary, sectorBytes, 'primary', problem)
    }
    if ('alternateLba' in backup) return tableOf(backup, sectorBytes, 'backup', primary.problem)
    throw formatError(source, 'GPT', `both copies are damaged: ${primary.problem}; ${backup.problem}`)
  }
  return undefined
}

/** @throws AslError FORMAT_INVALID when there is no table */
export function readGpt(source: ByteSource): Gpt {
  const gpt = tryReadGpt(source)
  if (gpt === undefined) throw formatError(source, 'GPT', 'there is none')
  return gpt
}

interface GptCopy {
  readonly alternateLba: number
  readonly firstUsableLba: number
  readonly lastUsableLba: number
  readonly diskGuid: string
  readonly tableCrc: number
  readonly partitions: readonly GptPartition[]
}

function hasSignature(source: ByteSource, sectorBytes: number, lba: number): boolean {
  return source.read(lba * sectorBytes, SIGNATURE.length).toString('latin1') === SIGNATURE
}

function attempt(read: () => GptCopy): GptCopy | { readonly problem: string } {
  try {
    return read()
  } catch (error) {
    if (!isAslError(error, 'FORMAT_INVALID')) throw error
    return { problem: messageOf(error) }
  }
}

function readCopy(source: ByteSource, sectorBytes: number, lba: number): GptCopy {
  const place = `GPT header at LBA ${lba}`
  checkInside(source, lba * sectorBytes, sectorBytes, place)
  const sector = source.read(lba * sectorBytes, sectorBytes)
  const fail = (reason: string): never => {
    throw formatError(source, place, reason)
  }
  if (sector.toString('latin1', 0, 8) !== SIGNATURE) fail('has no signature')
  if (sector.readUInt32LE(8) !== REVISION) fail(`has revision ${sector.readUInt32LE(8).toString(16)}, wanted 10000`)
  const headerBytes = sector.readUInt32LE(12)
  if (headerBytes < MIN_HEADER_BYTES || headerBytes > sectorBytes) fail(`says it has ${headerBytes} bytes`)
  const header = Buffer.from(sector.subarray(0, headerBytes))
  const wantedCrc = header.readUInt32LE(16)
  header.writeUInt32LE(0, 16)
  const foundCrc = crc32(header)
  if (foundCrc !== wantedCrc) fail(`has CRC ${hex(foundCrc)}, it says ${hex(wantedCrc)}`)
  const number = (offset: number): number => {
    const value = header.readBigUInt64LE(offset)
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? fail(`holds the number ${value}`) : Number(value)
  }
  if (number(24) !== lba) fail(`says it lies at LBA ${number(24)}`)
  const count = header.readUInt32LE(80)
  const entryBytes = header.readUInt32LE(84)
  if (entryBytes < ENTRY_BYTES || entryBytes % 8 !== 0 || count * entryBytes > MAX_TABLE_BYTES) {
    fail(`has ${count} entries of ${entryBytes} bytes`)
  }
  checkInside(source, number(72) * sectorBytes, count * entryBytes, 'GPT entries')
  const table = source.read(number(72) * sectorBytes, count * entryBytes)
  const tableCrc = header.readUInt32LE(88)
  if (crc32(table) !== tableCrc) fail(`its entries have CRC ${hex(crc32(table))}, it says ${hex(tableCrc)}`)
  return {
    alternateLba: number(32),
    firstUsableLba: number(40),
    lastUsableLba: number(48),
    diskGuid: formatGuid(header.subarray(56, 72)),
    tableCrc,
    partitions: partitionsOf(source, table, entryBytes, sectorBytes),
  }
}

function partitionsOf(source: ByteSource, table: Buffer, entryBytes: number, sectorBytes: number): GptPartition[] {
  const partitions: GptPartition[] = []
  for (let at = 0; at < table.length; at += entryBytes) {
    const entry = table.subarray(at, at + ENTRY_BYTES)
    const typeGuid = formatGuid(entry.subarray(0, 16))
    if (typeGuid === ZERO_GUID) continue
    const number = at / entryBytes + 1
    const first = entry.readBigUInt64LE(32)
    const last = entry.readBigUInt64LE(40)
    if (last < first || last >= BigInt(Math.floor(source.sizeBytes / sectorBytes))) {
      throw formatError(source, `GPT partition ${number}`, `LBA ${first} to ${last} does not lie on the disk`)
    }
    const [firstLba, lastLba] = [Number(first), Number(last)]
    partitions.push({
      number,
      typeGuid,
      guid: formatGuid(entry.subarray(16, 32)),
      name: entry.toString('utf16le', 56, 128).replace(/\0.*$/s, ''),
      firstLba,
      lastLba,
      attributes: entry.readBigUInt64LE(48),
      extent: { offset: firstLba * sectorBytes, sizeBytes: (lastLba - firstLba + 1) * sectorBytes },
    })
  }
  refuseOverlap(source, partitions)
  return partitions
}

function refuseOverlap(source: ByteSource, partitions: readonly GptPartition[]): void {
  const byStart = [...partitions].sort((a, b) => a.firstLba - b.firstLba)
  for (const [i, partition] of byStart.entries()) {
    const before = byStart[i - 1]
    if (before !== undefined && before.lastLba >= partition.firstLba) {
      throw formatError(source, `GPT partition ${partition.number}`, `overlaps partition ${before.number}`)
    }
  }
}

function differenceOf(primary: GptCopy, backup: GptCopy): string | undefined {
  const isSame = primary.tableCrc === backup.tableCrc && primary.diskGuid === backup.diskGuid
  return isSame ? undefined : 'the backup copy holds another table'
}

function tableOf(copy: GptCopy, sectorBytes: number, name: Gpt['copy'], otherCopyProblem: string | undefined): Gpt {
  const { diskGuid, firstUsableLba, lastUsableLba, partitions } = copy
  return { sectorBytes, diskGuid, firstUsableLba, lastUsableLba, partitions, copy: name, otherCopyProblem }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
