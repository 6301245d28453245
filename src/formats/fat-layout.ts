import type { ByteSource } from './byte-source.ts'
import { formatError } from './format-error.ts'

/** Where things lie in a FAT volume, from its boot sector (Microsoft, FAT32 File System Specification 1.03). */
export interface FatLayout {
  readonly type: 'fat12' | 'fat16' | 'fat32'
  readonly sectorBytes: number
  readonly clusterBytes: number
  /** Number of data clusters; they are counted from 2. */
  readonly clusters: number
  readonly fatOffset: number
  readonly fatBytes: number
  /** The fixed root of FAT12 and FAT16; empty for FAT32. */
  readonly rootOffset: number
  readonly rootBytes: number
  /** First cluster of the root of FAT32. */
  readonly rootCluster: number
  readonly dataOffset: number
  readonly serial: number
  readonly label: string
}

const FAT12_MAX_CLUSTERS = 4084
const FAT16_MAX_CLUSTERS = 65524
const MAX_CLUSTER_BYTES = 64 * 1024
const ENTRY_BYTES = 32

export function readFatLayout(source: ByteSource): FatLayout {
  const fail = (reason: string): never => {
    throw formatError(source, 'FAT boot sector', reason)
  }
  if (source.sizeBytes < 512) fail(`the volume has ${source.sizeBytes} bytes`)
  const sector = source.read(0, 512)
  if (sector[510] !== 0x55 || sector[511] !== 0xaa) fail('has no signature: this is no FAT file system')
  const sectorBytes = sector.readUInt16LE(11)
  if (![512, 1024, 2048, 4096].includes(sectorBytes))
    fail(`sectors of ${sectorBytes} bytes: this is no FAT file system`)
  const clusterBytes = (sector[13] as number) * sectorBytes
  if (clusterBytes > MAX_CLUSTER_BYTES || !isPowerOfTwo(clusterBytes)) fail(`clusters of ${clusterBytes} bytes`)
  const reservedSectors = sector.readUInt16LE(14)
  const fats = sector[16] as number
  const rootBytes = sector.readUInt16LE(17) * ENTRY_BYTES
  const totalSectors = sector.readUInt16LE(19) || sector.readUInt32LE(32)
  const fatSectors16 = sector.readUInt16LE(22)
  const isFat32 = fatSectors16 === 0 // as Linux decides; the number of clusters may disagree on small volumes
  const fatBytes = (isFat32 ? sector.readUInt32LE(36) : fatSectors16) * sectorBytes
  if (reservedSectors === 0 || fats === 0 || fats > 4 || fatBytes === 0) fail('has no file allocation table')
  if (totalSectors * sectorBytes > source.sizeBytes) {
    fail(`wants ${totalSectors * sectorBytes} bytes, there are ${source.sizeBytes}`)
  }
  const fatOffset = reservedSectors * sectorBytes
  const rootOffset = fatOffset + fats * fatBytes
  const dataOffset = rootOffset + Math.ceil(rootBytes / sectorBytes) * sectorBytes
  const clusters = Math.floor((totalSectors * sectorBytes - dataOffset) / clusterBytes)
  if (clusters < 1) fail('has no room for data')
  const type = isFat32 ? 'fat32' : clusters <= FAT12_MAX_CLUSTERS ? 'fat12' : 'fat16'
  if (type === 'fat16' && clusters > FAT16_MAX_CLUSTERS) fail(`has ${clusters} clusters, too many for FAT16`)
  const entryBits = type === 'fat12' ? 12 : type === 'fat16' ? 16 : 32
  if (Math.ceil(((clusters + 2) * entryBits) / 8) > fatBytes) fail(`has ${clusters} clusters, its table is smaller`)
  const extended = isFat32 ? 64 : 36
  const hasIds = sector[extended + 2] === 0x29
  return {
    type,
    sectorBytes,
    clusterBytes,
    clusters,
    fatOffset,
    fatBytes,
    rootOffset,
    rootBytes: isFat32 ? 0 : rootBytes,
    rootCluster: isFat32 ? sector.readUInt32LE(44) : 0,
    dataOffset,
    serial: hasIds ? sector.readUInt32LE(extended + 3) : 0,
    label: hasIds ? sector.toString('latin1', extended + 7, extended + 18).trimEnd() : '',
  }
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0
}
