import { AslError } from '../core/mod.ts'
import type { ByteStream } from './byte-reader.ts'
import { type ByteSource, chunksOf, partOf } from './byte-source.ts'
import { decompress } from './decompress.ts'
import { formatError } from './format-error.ts'
import { readGzipMember } from './gzip-member.ts'
import { zstdFrameSize } from './zstd-frames.ts'

/** One of the concatenated archives of an initramfs, with its compression taken off. */
export interface CpioPart {
  /** Where it begins in the whole. */
  readonly offset: number
  readonly compression: 'none' | 'gz' | 'zst'
  readonly stream: ByteStream
  /** A plain archive alone knows where it ends: its reader tells, in bytes from `offset`. */
  endsAt(sizeBytes: number): void
}

/**
 * Cuts an initramfs where the kernel does: a plain archive at a multiple of four, anything compressed by its magic,
 * zeros skipped. A part is to be read to its end before the next one is asked for.
 */
export async function* readCpioParts(source: ByteSource): AsyncGenerator<CpioPart> {
  for (let offset = skipZeros(source, 0); offset < source.sizeBytes; offset = skipZeros(source, offset)) {
    const compression = compressionAt(source, offset)
    const whole = partOf(source, { offset, sizeBytes: source.sizeBytes - offset }, `part at ${offset}`)
    let sizeBytes: number | undefined
    const endsAt = (end: number): void => {
      sizeBytes = end
    }
    if (compression === 'none') {
      if (offset % 4 !== 0)
        throw formatError(source, `part at ${offset}`, 'a plain archive must begin at a multiple of 4')
      yield { offset, compression, stream: chunksOf(whole), endsAt }
    } else if (compression === 'zst') {
      const frameBytes = zstdFrameSize(source, offset)
      sizeBytes = frameBytes
      const frame = partOf(source, { offset, sizeBytes: frameBytes }, `part at ${offset}`)
      yield { offset, compression, stream: decompress('zst', chunksOf(frame), source.name), endsAt: () => {} }
    } else {
      const member = readGzipMember(whole)
      yield { offset, compression, stream: member.content, endsAt: () => {} }
      sizeBytes = member.sizeBytes()
    }
    if (sizeBytes === undefined) throw new Error('a part of an archive was not read to its end')
    offset += sizeBytes
  }
}

const OTHERS: readonly (readonly [magic: string, name: string])[] = [
  ['fd377a585a00', 'xz'],
  ['425a68', 'bzip2'],
  ['5d0000', 'lzma'],
  ['894c5a4f', 'lzo'],
  ['02214c18', 'lz4'],
]

function compressionAt(source: ByteSource, offset: number): CpioPart['compression'] {
  const magic = source.read(offset, Math.min(6, source.sizeBytes - offset)).toString('hex')
  if (magic.startsWith('30373037')) return 'none'
  if (magic.startsWith('1f8b')) return 'gz'
  if (magic.startsWith('28b52ffd')) return 'zst'
  const other = OTHERS.find(([start]) => magic.startsWith(start))?.[1]
  throw new AslError(
    'FORMAT_INVALID',
    `${source.name}: part at ${offset}: ${other === undefined ? `neither an archive nor compressed: it begins with ${magic}` : `${other} is not read here`}`,
  )
}

function skipZeros(source: ByteSource, from: number): number {
  const windowBytes = 64 * 1024
  for (let offset = from; offset < source.sizeBytes; offset += windowBytes) {
    const bytes = source.read(offset, Math.min(windowBytes, source.sizeBytes - offset))
    const found = bytes.findIndex(byte => byte !== 0)
    if (found !== -1) return offset + found
  }
  return source.sizeBytes
}
