import { AslError } from '../core/mod.ts'

/**
 * Random access to bytes that somebody else holds: a file, a block device, a part of another source, memory. What
 * every reader of this room stands on, so that a FAT inside an ISO inside a store is read like a file.
 */
export interface ByteSource {
  /** For messages: a path, or `esp.img in image.iso`. */
  readonly name: string
  readonly sizeBytes: number
  /**
   * Exactly `sizeBytes` bytes; the caller may keep but not change them.
   * @throws AslError FORMAT_INVALID when they do not all lie inside the source
   */
  read(offset: number, sizeBytes: number): Buffer
}

/** A run of bytes inside a source. */
export interface Extent {
  readonly offset: number
  readonly sizeBytes: number
}

export function bufferSource(bytes: Uint8Array, name = 'a buffer'): ByteSource {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    name,
    sizeBytes: buffer.length,
    read(offset, sizeBytes) {
      checkInside(this, offset, sizeBytes)
      return buffer.subarray(offset, offset + sizeBytes)
    },
  }
}

/** The bytes of `extents`, one after the other, as a source of their own: a file inside an image. */
export function extentSource(source: ByteSource, extents: readonly Extent[], name: string): ByteSource {
  const starts: number[] = []
  let sizeBytes = 0
  for (const extent of extents) {
    checkInside(source, extent.offset, extent.sizeBytes, name)
    starts.push(sizeBytes)
    sizeBytes += extent.sizeBytes
  }
  const single = extents.length === 1 ? extents[0] : undefined
  return {
    name: `${name} in ${source.name}`,
    sizeBytes,
    read(offset, wanted) {
      checkInside(this, offset, wanted)
      if (single !== undefined) return source.read(single.offset + offset, wanted)
      const parts: Buffer[] = []
      let at = offset
      for (let i = extentAt(starts, offset); at < offset + wanted; i++) {
        const inExtent = at - (starts[i] as number)
        const extent = extents[i] as Extent
        const part = Math.min(extent.sizeBytes - inExtent, offset + wanted - at)
        parts.push(source.read(extent.offset + inExtent, part))
        at += part
      }
      return Buffer.concat(parts, wanted)
    },
  }
}

export function partOf(source: ByteSource, extent: Extent, name: string): ByteSource {
  return extentSource(source, [extent], name)
}

/** Joins neighbours, so that a file written in one run is one extent however its format lists it. */
export function joinExtents(extents: Iterable<Extent>): Extent[] {
  const joined: Extent[] = []
  for (const extent of extents) {
    const last = joined.at(-1)
    if (extent.sizeBytes === 0) continue
    if (last !== undefined && last.offset + last.sizeBytes === extent.offset) {
      joined[joined.length - 1] = { offset: last.offset, sizeBytes: last.sizeBytes + extent.sizeBytes }
    } else joined.push(extent)
  }
  return joined
}

/** The whole source in pieces, in order. */
export function* chunksOf(source: ByteSource, chunkBytes = 1 << 20): Generator<Buffer> {
  for (let offset = 0; offset < source.sizeBytes; offset += chunkBytes) {
    yield source.read(offset, Math.min(chunkBytes, source.sizeBytes - offset))
  }
}

export function checkInside(source: ByteSource, offset: number, sizeBytes: number, what?: string): void {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(sizeBytes) && offset >= 0 && sizeBytes >= 0) {
    if (offset + sizeBytes <= source.sizeBytes) return
  }
  const subject = what === undefined ? 'a structure' : what
  throw new AslError(
    'FORMAT_INVALID',
    `${source.name}: ${subject} wants ${sizeBytes} bytes at offset ${offset}, the end is at ${source.sizeBytes}`,
    { details: { source: source.name, offset, sizeBytes, sourceSizeBytes: source.sizeBytes } },
  )
}

/** Index of the extent that holds the byte at `offset`; `starts` ascends from 0. */
function extentAt(starts: readonly number[], offset: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] as number) <= offset) low = middle
    else high = middle - 1
  }
  return low
}
