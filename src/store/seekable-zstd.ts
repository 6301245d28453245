import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { AslError, messageOf } from '../core/mod.ts'
import type { CachedFile } from './file-cache.ts'

/**
 * The zstd seekable format (facebook/zstd contrib/seekable_format, version 0.1.1): independent frames, then a skippable
 * frame with a table of their sizes, so that any byte is reached by unpacking one frame. Any zstd program unpacks it.
 */
const SKIPPABLE_MAGIC = 0x184d2a5e
const SEEKABLE_MAGIC = 0x8f92eab1
const FOOTER_SIZE_BYTES = 9
export const FRAME_SIZE_BYTES = 1 << 20

/** Packs bytes into frames of 1 MiB and their seek table. Equal input gives equal bytes with one version of zstd. */
export function packSeekableZstd(bytes: Uint8Array, level = 9): Buffer {
  const frames: Buffer[] = []
  const rows: Buffer[] = []
  for (let at = 0; at < bytes.length; at += FRAME_SIZE_BYTES) {
    const piece = bytes.subarray(at, at + FRAME_SIZE_BYTES)
    const frame = zstdCompressSync(piece, { params: { [constants.ZSTD_c_compressionLevel]: level } })
    const row = Buffer.alloc(8)
    row.writeUInt32LE(frame.length, 0)
    row.writeUInt32LE(piece.length, 4)
    frames.push(frame)
    rows.push(row)
  }
  const head = Buffer.alloc(8)
  head.writeUInt32LE(SKIPPABLE_MAGIC, 0)
  head.writeUInt32LE(rows.length * 8 + FOOTER_SIZE_BYTES, 4)
  const footer = Buffer.alloc(FOOTER_SIZE_BYTES)
  footer.writeUInt32LE(rows.length, 0)
  footer.writeUInt32LE(SEEKABLE_MAGIC, 5)
  return Buffer.concat([...frames, head, ...rows, footer])
}

/** @throws AslError STORE_BLOCK_INVALID for a file that is not in the format; its reads throw the same */
export function openSeekableZstd(file: CachedFile, path: string): CachedFile {
  const frames = readSeekTable(file, path)
  const sizeBytes = frames.at(-1)?.end ?? 0
  let unpacked: { frame: Frame; bytes: Buffer } | undefined
  const unpack = (frame: Frame): Buffer => {
    if (unpacked?.frame === frame) return unpacked.bytes
    const packed = Buffer.allocUnsafe(frame.packedSizeBytes)
    if (file.read(packed, frame.packedOffset) !== packed.length)
      throw invalid(path, 'is shorter than its seek table says')
    let bytes: Buffer
    try {
      bytes = zstdDecompressSync(packed, { maxOutputLength: frame.end - frame.start })
    } catch (error) {
      throw invalid(path, `has a frame at ${frame.packedOffset} that cannot be unpacked: ${messageOf(error)}`, error)
    }
    if (bytes.length !== frame.end - frame.start)
      throw invalid(path, `unpacks to ${bytes.length} bytes at ${frame.start}`)
    unpacked = { frame, bytes }
    return bytes
  }
  return {
    sizeBytes,
    read(into, position) {
      let done = 0
      for (let i = frameAt(frames, position); i < frames.length && done < into.length; i++) {
        const frame = frames[i] as Frame
        const from = position + done - frame.start
        const piece = unpack(frame).subarray(from, from + into.length - done)
        into.set(piece, done)
        done += piece.length
      }
      return done
    },
  }
}

interface Frame {
  /** Place of the unpacked bytes. */
  readonly start: number
  readonly end: number
  readonly packedOffset: number
  readonly packedSizeBytes: number
}

function readSeekTable(file: CachedFile, path: string): Frame[] {
  const footer = Buffer.alloc(FOOTER_SIZE_BYTES)
  const hasFooter =
    file.sizeBytes >= FOOTER_SIZE_BYTES + 8 &&
    file.read(footer, file.sizeBytes - FOOTER_SIZE_BYTES) === FOOTER_SIZE_BYTES
  if (!hasFooter || footer.readUInt32LE(5) !== SEEKABLE_MAGIC) throw invalid(path, 'has no seek table')
  const rowSizeBytes = ((footer[4] as number) & 0x80) === 0 ? 8 : 12
  const count = footer.readUInt32LE(0)
  const tableSizeBytes = 8 + count * rowSizeBytes + FOOTER_SIZE_BYTES
  if (tableSizeBytes > file.sizeBytes) throw invalid(path, `has a seek table of ${count} frames that does not fit`)
  const table = Buffer.alloc(tableSizeBytes)
  file.read(table, file.sizeBytes - tableSizeBytes)
  if (table.readUInt32LE(0) !== SKIPPABLE_MAGIC || table.readUInt32LE(4) !== tableSizeBytes - 8) {
    throw invalid(path, 'has a seek table of the wrong size')
  }
  const frames: Frame[] = []
  let [start, packedOffset] = [0, 0]
  for (let at = 8; frames.length < count; at += rowSizeBytes) {
    const [packedSizeBytes, size] = [table.readUInt32LE(at), table.readUInt32LE(at + 4)]
    // Frames are unpacked whole, so their size is what a foreign file can make us allocate.
    if (size > FRAME_SIZE_BYTES || packedSizeBytes > 2 * FRAME_SIZE_BYTES)
      throw invalid(path, `has a frame of ${size} bytes`)
    frames.push({ start, end: start + size, packedOffset, packedSizeBytes })
    start += size
    packedOffset += packedSizeBytes
  }
  if (packedOffset !== file.sizeBytes - tableSizeBytes) throw invalid(path, 'has bytes that no frame covers')
  return frames
}

function frameAt(frames: readonly Frame[], position: number): number {
  let low = 0
  let high = frames.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((frames[middle] as Frame).end <= position) low = middle + 1
    else high = middle
  }
  return low
}

function invalid(path: string, reason: string, cause?: unknown): AslError {
  return new AslError('STORE_BLOCK_INVALID', `${path} ${reason}`, { cause })
}
