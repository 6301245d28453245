import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ReadableStream } from 'node:stream/web'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import xzDecompress from 'xz-decompress'
import { AslError, messageOf } from '../core/mod.ts'
import { type ByteStream, collectBytes, openByteReader } from './byte-reader.ts'
import { readZstdFrames } from './zstd-frames.ts'

export const COMPRESSIONS = ['none', 'gz', 'xz', 'zst'] as const
export type Compression = (typeof COMPRESSIONS)[number]

/** The compression a file name ends with; `undefined` for one we do not read (`.bz2`, `.lzma`). */
export function compressionOf(fileName: string): Compression | undefined {
  const extension = /\.([a-z0-9]+)$/.exec(fileName)?.[1]
  if (extension === 'gz' || extension === 'xz' || extension === 'zst') return extension
  return extension === 'bz2' || extension === 'lzma' || extension === 'lz4' ? undefined : 'none'
}

/**
 * The content of a compressed stream, in constant memory; checked to its end. Several members, frames or streams one
 * after the other are one content. Within a thread one xz stream is read at a time: a second one waits for the first.
 * @throws AslError FORMAT_INVALID for content that is damaged, cut off, or followed by something else
 */
export async function* decompress(
  compression: Compression,
  stream: ByteStream,
  name: string,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const piece of DECOMPRESSORS[compression](stream, name)) {
      if (piece.length > 0) yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    }
  } catch (error) {
    if (error instanceof AslError) throw error
    throw new AslError('FORMAT_INVALID', `Cannot decompress ${name} (${compression}): ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

/** @throws AslError FORMAT_INVALID; LIMIT_EXCEEDED when the content is larger than `maxBytes` */
export async function decompressBytes(
  compression: Compression,
  bytes: Uint8Array,
  options: { readonly name: string; readonly maxBytes: number },
): Promise<Buffer> {
  return collectBytes(decompress(compression, [bytes], options.name), options.maxBytes, options.name)
}

const DECOMPRESSORS: Readonly<Record<Compression, (stream: ByteStream, name: string) => ByteStream>> = {
  none: stream => stream,
  gz: stream => piped(stream, createGunzip()),
  xz: unxz,
  zst: unzstd,
}

/** Node's decoder ends silently after the first frame, so each frame gets a decoder of its own. */
async function* unzstd(stream: ByteStream, name: string): AsyncGenerator<Uint8Array> {
  for await (const frame of readZstdFrames(stream, name)) yield* piped(frame, createZstdDecompress())
}

async function* unxz(stream: ByteStream): AsyncGenerator<Uint8Array> {
  const reader = openByteReader(stream, 'xz input')
  let isEmpty = true
  const source = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = await reader.tryReadSome()
      if (piece !== undefined) controller.enqueue(piece)
      else if (isEmpty) controller.error(new Error('it is empty'))
      else controller.close()
      isEmpty = false
    },
    cancel: () => reader.close(),
  })
  const pieces = new xzDecompress.XzReadableStream(source as globalThis.ReadableStream<Uint8Array>).getReader()
  let isEnded = false
  try {
    for (let next = await pieces.read(); !next.done; next = await pieces.read()) yield next.value
    isEnded = true
  } finally {
    // The library reads ahead: when the last piece was never fetched, its cancel finds a decoder that is gone already
    // and rejects. Nothing is left to release then; when there is, cancel releases it.
    if (!isEnded) await pieces.cancel().catch(() => {})
  }
}

/** An error of the source or of the decoder ends the iteration; leaving the iteration ends both. */
async function* piped(stream: ByteStream, decoder: ReturnType<typeof createGunzip>): AsyncGenerator<Buffer> {
  const fed = pipeline(Readable.from(stream), decoder).catch((error: unknown) => error)
  yield* decoder as AsyncIterable<Buffer>
  const error = await fed
  if (error !== undefined) throw error
}

/** What xz-embedded's numbers say (xz.h, enum xz_ret). */
const XZ_REASONS: Readonly<Record<string, string>> = {
  '3': 'out of memory',
  '4': 'it wants a dictionary of more than 64 MiB',
  '5': 'it is no xz stream',
  '6': 'it uses a filter or a check that is not read (only LZMA2, with CRC32, CRC64 or none)',
  '7': 'its data are damaged',
  '8': 'it is cut off, or something follows it',
}

function reasonOf(error: unknown): string {
  const message = messageOf(error)
  const number = /get_next_output failed with error code (\d)/.exec(message)?.[1]
  return number === undefined ? message : (XZ_REASONS[number] ?? message)
}
