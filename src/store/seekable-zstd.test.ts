import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import type { CachedFile } from './file-cache.ts'
import { openSeekableZstd, packSeekableZstd } from './seekable-zstd.ts'

function fileOf(bytes: Buffer): CachedFile {
  return {
    sizeBytes: bytes.length,
    read(into, position) {
      const part = bytes.subarray(position, position + into.length)
      into.set(part)
      return part.length
    },
  }
}

const CONTENT = Buffer.concat([Buffer.alloc(1_500_000, 'compressible '), randomBytes(1_200_000), Buffer.alloc(7)])

test('any part of the content is read by unpacking the frames it lies in', () => {
  const packed = packSeekableZstd(CONTENT)
  const file = openSeekableZstd(fileOf(packed), 'x.blk.zst')
  assert.equal(file.sizeBytes, CONTENT.length)
  for (const [position, size] of [
    [0, CONTENT.length],
    [0, 1],
    [(1 << 20) - 1, 2],
    [1_499_990, 20],
    [CONTENT.length - 3, 3],
    [123, 2_000_000],
  ] as const) {
    const into = Buffer.alloc(size)
    assert.equal(file.read(into, position), size)
    assert.ok(into.equals(CONTENT.subarray(position, position + size)))
  }
  assert.equal(file.read(Buffer.alloc(10), CONTENT.length - 4), 4, 'short at the end')
  assert.equal(file.read(Buffer.alloc(10), CONTENT.length + 4), 0)
})

test('the first frame alone is what any zstd program unpacks first, and nothing packs to an empty table', () => {
  const packed = packSeekableZstd(CONTENT)
  const frame = zstdDecompressSync(packed.subarray(0, packed.readUInt32LE(packed.length - 9 - 3 * 8)))
  assert.ok(frame.equals(CONTENT.subarray(0, 1 << 20)))
  const empty = openSeekableZstd(fileOf(packSeekableZstd(Buffer.alloc(0))), 'empty.blk.zst')
  assert.equal(empty.sizeBytes, 0)
})

test('a file that is not in the format, or lies about its frames, is STORE_BLOCK_INVALID', () => {
  const packed = packSeekableZstd(CONTENT)
  const table = packed.length - 9 - 3 * 8
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(packed)
    change(bytes)
    return bytes
  }
  const broken: readonly (readonly [string, Buffer])[] = [
    ['cut', packed.subarray(0, packed.length - 1)],
    ['no table', packed.subarray(0, 100)],
    ['empty', Buffer.alloc(0)],
    ['a frame of 4 GiB', changed(bytes => void bytes.writeUInt32LE(0xffffffff, table + 4))],
    ['a frame larger than the file', changed(bytes => void bytes.writeUInt32LE(0x00200000, table))],
    ['more frames than fit', changed(bytes => void bytes.writeUInt32LE(0x0fffffff, bytes.length - 9))],
    ['another frame magic', changed(bytes => void bytes.writeUInt32LE(1, table - 8))],
  ]
  for (const [what, bytes] of broken) {
    assert.throws(() => openSeekableZstd(fileOf(bytes), 'x'), { code: 'STORE_BLOCK_INVALID' }, what)
  }
  const flipped = openSeekableZstd(fileOf(changed(bytes => bytes.fill(0xa5, 50, 60))), 'x')
  assert.throws(() => flipped.read(Buffer.alloc(CONTENT.length), 0), { code: 'STORE_BLOCK_INVALID' })
  const longer = openSeekableZstd(fileOf(changed(bytes => void bytes.writeUInt32LE(100, table + 4))), 'x')
  assert.throws(() => longer.read(Buffer.alloc(10), 0), { code: 'STORE_BLOCK_INVALID' })
})
