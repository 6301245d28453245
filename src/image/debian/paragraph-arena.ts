/** Many short pieces of bytes in few large buffers: 70,000 buffers of their own would cost more than what they hold. */
export interface ParagraphArena {
  readonly count: number
  add(bytes: Uint8Array): void
  /** A view, not a copy. */
  at(index: number): Buffer
}

const CHUNK_SIZE_BYTES = 1024 * 1024

export function paragraphArena(): ParagraphArena {
  const chunks: Buffer[] = []
  let freeBytes = 0
  const chunkOf: number[] = []
  const starts: number[] = []
  const sizes: number[] = []
  return {
    get count() {
      return starts.length
    },
    add(bytes) {
      if (bytes.length > freeBytes) {
        freeBytes = Math.max(CHUNK_SIZE_BYTES, bytes.length)
        chunks.push(Buffer.allocUnsafeSlow(freeBytes))
      }
      const chunk = chunks.at(-1) as Buffer
      const start = chunk.length - freeBytes
      chunk.set(bytes, start)
      freeBytes -= bytes.length
      chunkOf.push(chunks.length - 1)
      starts.push(start)
      sizes.push(bytes.length)
    },
    at(index) {
      const chunk = chunks[chunkOf[index] ?? -1]
      const start = starts[index]
      const size = sizes[index]
      if (chunk === undefined || start === undefined || size === undefined) throw new Error(`no paragraph ${index}`)
      return chunk.subarray(start, start + size)
    },
  }
}
