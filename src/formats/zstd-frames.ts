import { AslError } from '../core/mod.ts'
import { type ByteReader, type ByteStream, openByteReader } from './byte-reader.ts'
import type { ByteSource } from './byte-source.ts'

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
const CHECKSUM_FLAG = 0x04

async function* frame(reader: ByteReader, magic: Buffer): AsyncGenerator<Buffer> {
  yield magic
  const descriptor = await reader.read(1, 'a frame header')
  yield descriptor
  const flags = descriptor[0] as number
  const { windowBytes, dictionaryBytes, contentSizeBytes } = headerParts(flags)
  yield await reader.read(windowBytes + dictionaryBytes + contentSizeBytes, 'a frame header')
  for (let isLast = false; !isLast; ) {
    const header = await reader.read(3, 'a block header')
    yield header
    const word = header.readUIntLE(0, 3)
    isLast = (word & 1) !== 0
    yield* reader.chunks(blockBytes(word), 'a block')
  }
  if ((flags & CHECKSUM_FLAG) !== 0) yield await reader.read(4, 'the checksum of a frame')
}

/** Lengths of what follows the descriptor byte. */
function headerParts(flags: number): { windowBytes: number; dictionaryBytes: number; contentSizeBytes: number } {
  const isSingleSegment = (flags & 0x20) !== 0
  return {
    windowBytes: isSingleSegment ? 0 : 1,
    dictionaryBytes: [0, 1, 2, 4][flags & 3] as number,
    contentSizeBytes: [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] as number,
  }
}

function blockBytes(header: number): number {
  return ((header >> 1) & 3) === BLOCK_RLE ? 1 : header >> 3
}

/** Length of the frame at `offset`, from its headers alone. @throws AslError FORMAT_INVALID */
export function zstdFrameSize(source: ByteSource, offset: number): number {
  const flags = source.read(offset + 4, 1)[0] as number
  const { windowBytes, dictionaryBytes, contentSizeBytes } = headerParts(flags)
  let at = offset + 5 + windowBytes + dictionaryBytes + contentSizeBytes
  for (let isLast = false; !isLast; ) {
    const word = source.read(at, 3).readUIntLE(0, 3)
    isLast = (word & 1) !== 0
    at += 3 + blockBytes(word)
  }
  return at + ((flags & CHECKSUM_FLAG) === 0 ? 0 : 4) - offset
}
