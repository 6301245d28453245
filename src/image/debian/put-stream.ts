import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { AslError, type Reference } from '../../core/mod.ts'
import type { ByteStream } from '../../formats/mod.ts'
import type { StoreWriter } from '../../store/mod.ts'
import { withTempFolder, writeAll } from '../../sys/mod.ts'

/** Content up to this size is put from memory; what is larger goes through a file in the scratch folder. */
const IN_MEMORY_SIZE_BYTES = 8 * 1024 * 1024

export interface PutStreamOptions {
  /** A folder of this machine for content too large to be held in memory; removed again. */
  readonly scratchFolder: string
  readonly maxBytes: number
  readonly name: string
}

/**
 * Puts content that comes asynchronously, of a size that is not known or not trusted, into a store that wants to
 * know it. Memory is bounded whatever the source says. The writer is asked for when all is there: no store is
 * locked while a network is waited for.
 * @throws AslError LIMIT_EXCEEDED
 */
export async function putStream(
  openWriter: () => StoreWriter,
  stream: ByteStream,
  options: PutStreamOptions,
): Promise<{ reference: Reference; sizeBytes: number }> {
  const pieces: Uint8Array[] = []
  let sizeBytes = 0
  const source = iterate(stream)
  for (;;) {
    const next = await source.next()
    if (next.done === true) {
      const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
      return { reference: openWriter().put(bytes), sizeBytes }
    }
    sizeBytes += next.value.length
    pieces.push(next.value)
    if (sizeBytes > options.maxBytes) {
      throw new AslError('LIMIT_EXCEEDED', `${options.name} is larger than ${options.maxBytes} bytes`)
    }
    if (sizeBytes > IN_MEMORY_SIZE_BYTES) return spill(openWriter, pieces, source, options)
  }
}

async function spill(
  openWriter: () => StoreWriter,
  pieces: readonly Uint8Array[],
  rest: AsyncGenerator<Uint8Array>,
  options: PutStreamOptions,
): Promise<{ reference: Reference; sizeBytes: number }> {
  return withTempFolder(options.scratchFolder, async folder => {
    const path = join(folder, 'content')
    const fd = openSync(path, 'wx', 0o600)
    let sizeBytes = 0
    try {
      for (const piece of pieces) {
        writeAll(fd, piece)
        sizeBytes += piece.length
      }
      for await (const piece of rest) {
        writeAll(fd, piece)
        sizeBytes += piece.length
        if (sizeBytes > options.maxBytes) {
          throw new AslError('LIMIT_EXCEEDED', `${options.name} is larger than ${options.maxBytes} bytes`)
        }
      }
    } finally {
      closeSync(fd)
    }
    return { reference: openWriter().putFile(path), sizeBytes }
  })
}

async function* iterate(stream: ByteStream): AsyncGenerator<Uint8Array> {
  yield* stream
}
