import { AslError } from '../core/mod.ts'
import { type ByteReader, type ByteStream, openByteReader } from './byte-reader.ts'

/**
 * Cuts a zstd stream into its frames (RFC 8878 section 3.1), skippable ones left out. Each frame is to be read to its
 * end before the next one is asked for. Only lengths are looked at; the decoder checks the rest.
 */
export async function* readZstdFrames(stream: ByteStream, name: string): AsyncGenerator<AsyncIterable<Buffer>> {
  const reader = openByteReader(stream, name)
  let frames = 0
  try {
    for (;;) {
      const magic = await reader.tryRead(4)
      if (magic === undefined) break
      const number = magic.readUInt32LE(0)
      if (number === FRAME_MAGIC) yield frame(reader, magic)
      else if ((number & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
        const size = await reader.read(4, 'a skippable frame')
        await reader.skip(size.readUInt32LE(0), 'a skippable frame')
      } else {
        throw new AslError('FORMAT_INVALID', `${name}: no zstd frame starts at offset ${reader.offset - 4}`)
      }
      frames++
    }
    if (frames === 0) throw new AslError('FORMAT_INVALID', `${name} is empty, and no zstd stream`)
  } finally {
    await reader.close()
  }
}

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const BLOCK_RLE = 1

async function* frame(reader: ByteReader, magic: Buffer): AsyncGenerator<Buffer> {
  yield magic
  const descriptor = await reader.read(1, 'a frame header')
  yield descriptor
  const flags = descriptor[0] as number
  const isSingleSegment = (flags & 0x20) !== 0
  const windowBytes = isSingleSegment ? 0 : 1
  const dictionaryBytes = [0, 1, 2, 4][flags & 3] as number
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] as number
  yield await reader.read(windowBytes + dictionaryBytes + contentSizeBytes, 'a frame header')
  for (let isLast = false; !isLast; ) {
    const header = await reader.read(3, 'a block header')
    yield header
    const word = header.readUIntLE(0, 3)
    isLast = (word & 1) !== 0
    yield* reader.chunks(((word >> 1) & 3) === BLOCK_RLE ? 1 : word >> 3, 'a block')
  }
  if ((flags & 4) !== 0) yield await reader.read(4, 'the checksum of a frame')
}
