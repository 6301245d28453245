import type { ByteSource } from './byte-source.ts'
import { formatError } from './format-error.ts'
import { type IsoRecord, parseRecord, SECTOR_BYTES } from './iso9660-records.ts'
import { longTime } from './rock-ridge.ts'

/** What a primary or supplementary volume descriptor says (ECMA-119 §8.4, §8.5). */
export interface VolumeDescriptor {
  readonly volumeId: string
  /** Size of the volume by its own word; a hybrid image may go on behind it. */
  readonly sizeBytes: number
  readonly blockBytes: number
  readonly root: IsoRecord
  readonly createdSeconds: number | undefined
}

export interface VolumeDescriptors {
  readonly primary: VolumeDescriptor
  readonly joliet: VolumeDescriptor | undefined
  /** Block of the El Torito boot catalog. */
  readonly bootCatalogBlock: number | undefined
}

const FIRST_SECTOR = 16
const MAX_DESCRIPTORS = 64
const EL_TORITO = 'EL TORITO SPECIFICATION'

export function readVolumeDescriptors(source: ByteSource): VolumeDescriptors {
  let primary: VolumeDescriptor | undefined
  let joliet: VolumeDescriptor | undefined
  let bootCatalogBlock: number | undefined
  for (let index = 0; ; index++) {
    const offset = (FIRST_SECTOR + index) * SECTOR_BYTES
    const place = `volume descriptor at ${offset}`
    if (index === MAX_DESCRIPTORS) throw formatError(source, place, 'the set of descriptors does not end')
    if (offset + SECTOR_BYTES > source.sizeBytes) throw notAnIso(source, place, 'the image ends before it')
    const bytes = source.read(offset, SECTOR_BYTES)
    if (bytes.toString('latin1', 1, 6) !== 'CD001') {
      throw notAnIso(source, place, `identifier is not CD001`)
    }
    const type = bytes[0]
    if (type === 255) break
    if (type === 0 && bytes.toString('latin1', 7, 7 + EL_TORITO.length) === EL_TORITO) {
      bootCatalogBlock ??= bytes.readUInt32LE(0x47)
    } else if (type === 1) primary ??= parseDescriptor(source, bytes, offset)
    else if (type === 2 && isJoliet(bytes)) joliet ??= parseDescriptor(source, bytes, offset)
  }
  if (primary === undefined) throw formatError(source, 'volume descriptors', 'there is no primary one')
  return { primary, joliet, bootCatalogBlock }
}

function notAnIso(source: ByteSource, place: string, reason: string): Error {
  return formatError(source, place, `${reason}: this is not an ISO 9660 image`)
}

function parseDescriptor(source: ByteSource, bytes: Buffer, offset: number): VolumeDescriptor {
  const place = `volume descriptor at ${offset}`
  const blockBytes = bytes.readUInt16LE(128)
  if (![512, 1024, 2048].includes(blockBytes)) throw formatError(source, place, `block size ${blockBytes}`)
  const sizeBytes = bytes.readUInt32LE(80) * blockBytes
  if (sizeBytes > source.sizeBytes) {
    throw formatError(source, place, `wants ${sizeBytes} bytes, the image has ${source.sizeBytes}: it is truncated`)
  }
  const root = parseRecord(source, blockBytes, bytes.subarray(156, 190), offset + 156)
  if (!root.isDirectory || root.extent === undefined) throw formatError(source, place, 'its root is not a directory')
  return {
    volumeId: bytes.toString('latin1', 40, 72).replace(/ +$/, ''),
    sizeBytes,
    blockBytes,
    root,
    createdSeconds: longTime(bytes.subarray(813, 830)),
  }
}

/** Escape sequences of UCS-2 levels 1 to 3, ISO/IEC 2022. */
function isJoliet(bytes: Buffer): boolean {
  return ['%/@', '%/C', '%/E'].includes(bytes.toString('latin1', 88, 91))
}
