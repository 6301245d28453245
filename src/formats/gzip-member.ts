import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { crc32, createInflateRaw } from 'node:zlib'
import { AslError, messageOf } from '../core/mod.ts'
import { type ByteSource, chunksOf, partOf } from './byte-source.ts'

/** One gzip member (RFC 1952), of which only the decoder knows where it ends. */
export interface GzipMember {
  /** To be read to its end. */
  readonly content: AsyncIterable<Buffer>
  /** Header, data and trailer; known once the content has ended. */
  sizeBytes(): number
}

const FLAGS = { headerCrc: 0x02, extra: 0x04, name: 0x08, comment: 0x10, reserved: 0xe0 } as const
const FIXED_BYTES = 10
const TRAILER_BYTES = 8
const MAX_TEXT_BYTES = 64 * 1024

/** Reads the member that `source` begins with; what follows it is not looked at. @throws AslError FORMAT_INVALID */
export function readGzipMember(source: ByteSource): GzipMember {
  const headerBytes = headerSize(source)
  let sizeBytes: number | undefined
  async function* content(): AsyncGenerator<Buffer> {
    const data = partOf(source, { offset: headerBytes, sizeBytes: source.sizeBytes - headerBytes }, 'gzip data')
    const decoder = createInflateRaw()
    const fed = pipeline(Readable.from(chunksOf(data)), decoder).catch((error: unknown) => error)
    let sum = 0
    let contentBytes = 0
    try {
      for await (const chunk of decoder as AsyncIterable<Buffer>) {
        sum = crc32(chunk, sum)
        contentBytes += chunk.length
        yield chunk
      }
    } catch (error) {
      throw invalid(source, messageOf(error), error)
    }
    const error = await fed
    // the decoder closes at the end of its data while input is left: that is no error
    if (error !== undefined && (error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') {
      throw invalid(source, messageOf(error), error)
    }
    const end = headerBytes + decoder.bytesWritten
    const trailer = source.read(end, TRAILER_BYTES)
    if (trailer.readUInt32LE(0) !== sum) throw invalid(source, 'the CRC of the content is wrong')
    if (trailer.readUInt32LE(4) !== contentBytes % 2 ** 32) throw invalid(source, 'the size of the content is wrong')
    sizeBytes = end + TRAILER_BYTES
  }
  return {
    content: content(),
    sizeBytes() {
      if (sizeBytes === undefined) throw new Error('the gzip member was not read to its end')
      return sizeBytes
    },
  }
}

function headerSize(source: ByteSource): number {
  const fixed = source.read(0, FIXED_BYTES)
  const flags = fixed[3] as number
  if (fixed[0] !== 0x1f || fixed[1] !== 0x8b || fixed[2] !== 8) throw invalid(source, 'no gzip header')
  if ((flags & FLAGS.reserved) !== 0) throw invalid(source, 'reserved flags are set')
  let at = FIXED_BYTES
  if ((flags & FLAGS.extra) !== 0) at += 2 + source.read(at, 2).readUInt16LE(0)
  for (const flag of [FLAGS.name, FLAGS.comment]) if ((flags & flag) !== 0) at = afterText(source, at)
  return (flags & FLAGS.headerCrc) !== 0 ? at + 2 : at
}

function afterText(source: ByteSource, at: number): number {
  const nul = source.read(at, Math.min(MAX_TEXT_BYTES, Math.max(0, source.sizeBytes - at))).indexOf(0)
  if (nul === -1) throw invalid(source, 'a name or comment does not end')
  return at + nul + 1
}

function invalid(source: ByteSource, reason: string, cause?: unknown): AslError {
  return new AslError('FORMAT_INVALID', `${source.name}: gzip: ${reason}`, { cause })
}
