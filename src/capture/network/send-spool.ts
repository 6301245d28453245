import type { ServerResponse } from 'node:http'
import type { ByteRange } from './byte-range.ts'
import type { Spool } from './spool.ts'

const PIECE_SIZE_BYTES = 256 * 1024

/**
 * Sends a part of a body while it arrives, in constant memory whatever the client's pace. Ends when the client has all
 * of it, has gone, or the body failed: then the connection is cut, so that a short body is never taken for a whole one.
 */
export function sendSpool(spool: Spool, out: ServerResponse, range: ByteRange): Promise<void> {
  return new Promise(resolve => {
    if (out.destroyed) return resolve()
    let position = range.start
    let isBlocked = false
    let isSettled = false

    const settle = (): void => {
      if (isSettled) return
      isSettled = true
      out.off('drain', onDrain)
      out.off('close', settle)
      release()
      resolve()
    }
    const write = (piece: Buffer): void => {
      position += piece.length
      isBlocked = !out.write(piece)
    }
    const pump = (): void => {
      if (isSettled) return
      while (!isBlocked) {
        const ready = Math.min(range.end, spool.sizeBytes) - position
        if (ready <= 0) break
        write(spool.read(position, Math.min(ready, PIECE_SIZE_BYTES)))
      }
      if (spool.state.kind === 'failed') {
        out.destroy()
        settle()
      } else if (position >= range.end || (spool.state.kind === 'complete' && position >= spool.sizeBytes)) {
        out.end()
        settle()
      }
    }
    const onDrain = (): void => {
      isBlocked = false
      pump()
    }
    const release = spool.follow({
      onChunk(chunk, at) {
        if (isBlocked || at !== position) return
        write(chunk.subarray(0, range.end - position))
        if (position >= range.end) pump()
      },
      onComplete: pump,
      onFail: pump,
    })
    out.on('drain', onDrain)
    out.on('close', settle)
    pump()
  })
}
