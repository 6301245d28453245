/** A GUID as UEFI stores it: three little-endian numbers, then eight bytes; upper case as the specifications print it. */
export function formatGuid(bytes: Uint8Array): string {
  const b = Buffer.from(bytes.buffer, bytes.byteOffset, 16)
  const number = (offset: number, sizeBytes: number): string =>
    b
      .readUIntLE(offset, sizeBytes)
      .toString(16)
      .padStart(sizeBytes * 2, '0')
  const text = [number(0, 4), number(4, 2), number(6, 2), b.toString('hex', 8, 10), b.toString('hex', 10, 16)].join('-')
  return text.toUpperCase()
}

export const ZERO_GUID = '00000000-0000-0000-0000-000000000000'

/** Partition types that images of this project use. */
export const PARTITION_TYPES = {
  esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  biosBoot: '21686148-6449-6E6F-744E-656564454649',
  linux: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
  basicData: 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7',
} as const
