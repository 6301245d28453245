import { AslError, type ErrorCode } from '../core/mod.ts'

/** Bytes in pieces, from a store (synchronous) or a decompressor (not). */
export type ByteStream = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** Reads a stream in pieces of the caller's choice, holding no more than one piece of the stream. */
export interface ByteReader {
  /** Bytes taken so far. */
  readonly offset: number
  /** `undefined` at the end of the stream; FORMAT_INVALID when it ends inside the piece. */
  tryRead(sizeBytes: number): Promise<Buffer | undefined>
  /** Whatever is at hand, at least a byte; `undefined` at the end of the stream. */
  tryReadSome(): Promise<Buffer | undefined>
  /** @throws AslError FORMAT_INVALID, or the code given, when fewer bytes are left */
  read(sizeBytes: number, what: string, code?: ErrorCode): Promise<Buffer>
  /** The next `sizeBytes` as they come; whoever iterates must reach the end, or call `skip` for what is left. */
  chunks(sizeBytes: number, what: string, code?: ErrorCode): AsyncGenerator<Buffer, void, undefined>
  skip(sizeBytes: number, what: string, code?: ErrorCode): Promise<void>
  /** Reads to the end of the stream, so that the layer below checks its digests. @throws AslError LIMIT_EXCEEDED */
  drain(maxBytes: number): Promise<void>
  /** Lets the source go: a reader that stops early calls this, one that reached the end may. */
  close(): Promise<void>
}

/** `name` is what messages call the stream. */
export function openByteReader(stream: ByteStream, name: string): ByteReader {
  const source = iteratorOf(stream)
  let chunk: Buffer = Buffer.alloc(0)
  let offset = 0
  /** Makes sure that a byte is at hand; false at the end of the stream. */
  const fill = async (): Promise<boolean> => {
    while (chunk.length === 0) {
      const next = await source.next()
      if (next.done === true) return false
      chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
    }
    return true
  }
  const take = (sizeBytes: number): Buffer => {
    const piece = chunk.subarray(0, sizeBytes)
    chunk = chunk.subarray(piece.length)
    offset += piece.length
    return piece
  }
  const truncated = (what: string, missingBytes: number, code: ErrorCode = 'FORMAT_INVALID'): AslError =>
    new AslError(code, `${name} ends ${missingBytes} bytes before the end of ${what}`)

  const reader: ByteReader = {
    get offset() {
      return offset
    },
    async tryRead(sizeBytes) {
      return (await fill()) ? reader.read(sizeBytes, `a piece of ${sizeBytes} bytes at offset ${offset}`) : undefined
    },
    async tryReadSome() {
      return (await fill()) ? take(chunk.length) : undefined
    },
    async read(sizeBytes, what, code) {
      if (sizeBytes <= chunk.length) return take(sizeBytes)
      // The size may lie: pieces are collected as they come, so that memory grows with what is really there.
      const pieces: Buffer[] = []
      for await (const piece of reader.chunks(sizeBytes, what, code)) pieces.push(piece)
      return Buffer.concat(pieces)
    },
    async *chunks(sizeBytes, what, code) {
      let left = sizeBytes
      while (left > 0) {
        if (!(await fill())) throw truncated(what, left, code)
        const piece = take(left)
        left -= piece.length
        yield piece
      }
    },
    async skip(sizeBytes, what, code) {
      let left = sizeBytes
      while (left > 0) {
        if (!(await fill())) throw truncated(what, left, code)
        left -= take(left).length
      }
    },
    async drain(maxBytes) {
      const start = offset
      while (await fill()) {
        take(chunk.length)
        if (offset - start > maxBytes) throw new AslError('LIMIT_EXCEEDED', `${name} goes on after its end`)
      }
    },
    async close() {
      await source.return?.()
    },
  }
  return reader
}

/** Collects a stream of bounded size. @throws AslError LIMIT_EXCEEDED */
export async function collectBytes(stream: ByteStream, maxBytes: number, what: string): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let sizeBytes = 0
  for await (const piece of stream) {
    sizeBytes += piece.length
    if (sizeBytes > maxBytes) throw new AslError('LIMIT_EXCEEDED', `${what} is larger than ${maxBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

function iteratorOf(stream: ByteStream): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  return Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]()
}
