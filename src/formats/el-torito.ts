import { type ByteSource, checkInside, type Extent } from './byte-source.ts'
import { formatError } from './format-error.ts'

/** One entry of an El Torito boot catalog: what firmware may start from a CD. */
export interface ElToritoEntry {
  /** 0x00 BIOS on x86, 0xEF UEFI. */
  readonly platformId: number
  readonly platform: 'bios' | 'uefi' | 'other'
  readonly isBootable: boolean
  /** 0 no emulation, 1–3 diskettes, 4 hard disk. */
  readonly mediaType: number
  /** Sectors of 512 bytes that BIOS loads; for UEFI the size of the FAT image, 0 when it does not fit 16 bits. */
  readonly sectorCount: number
  /** Where the boot image lies, at least the loaded part of it. */
  readonly extent: Extent
}

const ENTRY_BYTES = 32
const BLOCK_BYTES = 2048
const VIRTUAL_SECTOR_BYTES = 512
const MAX_ENTRIES = 1024

/** Reads the catalog at `offset` (El Torito 1.0 §2). @throws AslError FORMAT_INVALID */
export function readBootCatalog(source: ByteSource, offset: number): ElToritoEntry[] {
  const read = (index: number): Buffer => {
    if (index >= MAX_ENTRIES) throw formatError(source, `boot catalog at ${offset}`, 'does not end')
    const at = offset + index * ENTRY_BYTES
    checkInside(source, at, ENTRY_BYTES, 'the boot catalog')
    return source.read(at, ENTRY_BYTES)
  }
  const validation = read(0)
  const place = `boot catalog at ${offset}`
  if (validation[0] !== 1 || validation[30] !== 0x55 || validation[31] !== 0xaa) {
    throw formatError(source, place, 'does not begin with a validation entry')
  }
  if (sumOfWords(validation) !== 0) throw formatError(source, place, 'the checksum of its validation entry is wrong')
  const entries = [bootEntry(source, read(1), validation[1] as number, offset + ENTRY_BYTES)]
  for (let index = 2; ; ) {
    const header = read(index)
    const indicator = header[0]
    if (indicator !== 0x90 && indicator !== 0x91) return entries
    const count = header.readUInt16LE(2)
    index++
    for (let listed = 0; listed < count; index++) {
      const bytes = read(index)
      if (bytes[0] === 0x44) continue // extension of the entry before: selection criteria of a vendor
      entries.push(bootEntry(source, bytes, header[1] as number, offset + index * ENTRY_BYTES))
      listed++
    }
    if (indicator === 0x91) return entries
    while (read(index)[0] === 0x44) index++
  }
}

function bootEntry(source: ByteSource, bytes: Buffer, platformId: number, at: number): ElToritoEntry {
  const indicator = bytes[0]
  if (indicator !== 0x88 && indicator !== 0x00) {
    throw formatError(source, `boot entry at ${at}`, `begins with ${indicator}, wanted 0x88 or 0`)
  }
  const sectorCount = bytes.readUInt16LE(6)
  const extent = { offset: bytes.readUInt32LE(8) * BLOCK_BYTES, sizeBytes: sectorCount * VIRTUAL_SECTOR_BYTES }
  checkInside(source, extent.offset, Math.max(extent.sizeBytes, 1), `the boot entry at ${at}`)
  return {
    platformId,
    platform: platformId === 0 ? 'bios' : platformId === 0xef ? 'uefi' : 'other',
    isBootable: indicator === 0x88,
    mediaType: (bytes[1] as number) & 0x0f,
    sectorCount,
    extent,
  }
}

function sumOfWords(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum = (sum + bytes.readUInt16LE(at)) & 0xffff
  return sum
}
