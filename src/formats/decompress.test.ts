import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { isAslError } from '../core/mod.ts'
import { type Compression, compressionOf, decompress, decompressBytes } from './mod.ts'

/** `printf 'hello, xz\n' | xz`, with CRC64; and with --check=sha256, which is not read. */
const XZ = Buffer.from(
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAJaGVsbG8sIHh6CgAAAOsStov8cd8oAAEiChUa4WcftvN9AQAAAAAEWVo=',
  'base64',
)
const XZ_SHA256 = Buffer.from(
  '/Td6WFoAAArh+wyhAgAhARYAAAB0L+WjAQAJaGVsbG8sIHh6CgAAAPlJGXoZaTzimYLRKtuSQ8njypcxuSHgWrMZ+5GONOtsAAE6CkyC+uUYm0uaAQAAAAAKWVo=',
  'base64',
)
const LONG = Buffer.from('0123456789abcdef'.repeat(20_000))

function bytesOf(compression: Compression, input: Buffer, maxBytes = 1 << 24): Promise<Buffer> {
  return decompressBytes(compression, input, { name: 'input', maxBytes })
}

async function invalid(compression: Compression, input: Buffer, why: string): Promise<void> {
  await assert.rejects(bytesOf(compression, input), error => isAslError(error, 'FORMAT_INVALID'), why)
}

test('decompress() reads gz, xz and zst, each also as several parts one after the other', async () => {
  const samples: [Compression, Buffer, Buffer][] = [
    ['none', LONG, LONG],
    ['gz', gzipSync(LONG), LONG],
    ['zst', zstdCompressSync(LONG), LONG],
    ['xz', XZ, Buffer.from('hello, xz\n')],
  ]
  for (const [compression, packed, content] of samples) {
    assert.ok((await bytesOf(compression, packed)).equals(content), compression)
    const twice = await bytesOf(compression, Buffer.concat([packed, packed]))
    assert.ok(twice.equals(Buffer.concat([content, content])), `${compression} twice`)
  }
})

test('zst: skippable frames are left out, frames may have no content size and no checksum', async () => {
  const skippable = Buffer.from('512a4d18030000006162630a'.slice(0, 22), 'hex')
  const packed = Buffer.concat([skippable, zstdCompressSync(Buffer.from('a')), skippable, zstdCompressSync(LONG)])
  assert.ok((await bytesOf('zst', packed)).equals(Buffer.concat([Buffer.from('a'), LONG])))
})

test('zst: a block may be one byte, repeated', async () => {
  // Single segment of 5 bytes; the last block is of type 1 and says 5 times "a".
  const packed = Buffer.from('28b52ffd20052b000061', 'hex')
  assert.equal((await bytesOf('zst', Buffer.concat([packed, packed]))).toString(), 'aaaaaaaaaa')
})

test('content that is damaged, cut off, empty or followed by garbage is refused', async () => {
  const packed: [Compression, Buffer][] = [
    ['gz', gzipSync(LONG)],
    ['zst', zstdCompressSync(LONG)],
    ['xz', XZ],
  ]
  for (const [compression, bytes] of packed) {
    await invalid(compression, bytes.subarray(0, bytes.length - 5), `${compression} cut off`)
    await invalid(compression, Buffer.alloc(0), `${compression} empty`)
    await invalid(compression, Buffer.from('certainly not compressed'), `${compression} foreign`)
    await invalid(compression, Buffer.concat([bytes, Buffer.from('garbage!')]), `${compression} followed by garbage`)
    const damaged = Buffer.from(bytes)
    damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] as number) ^ 0x55
    await invalid(compression, damaged, `${compression} damaged`)
  }
  assert.equal((await bytesOf('xz', XZ)).toString(), 'hello, xz\n', 'a failed stream leaves the decoder usable')
})

test('an xz check that is not read is said to be that', async () => {
  await assert.rejects(bytesOf('xz', XZ_SHA256), /filter or a check that is not read/)
})

test('leaving an xz stream early lets the next one begin', async () => {
  for await (const _ of decompress('xz', [XZ], 'first')) break
  assert.equal((await bytesOf('xz', XZ)).length, 10)
})

test('content larger than allowed is refused before it is all there', async () => {
  const bomb = gzipSync(Buffer.alloc(8 << 20))
  await assert.rejects(bytesOf('gz', bomb, 1 << 20), error => isAslError(error, 'LIMIT_EXCEEDED'))
})

test('an error of the source comes through', async () => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield XZ.subarray(0, 10)
    throw new Error('the disk is gone')
  }
  for (const compression of ['gz', 'xz'] as const) {
    const input = compression === 'xz' ? failing() : gzFailing()
    await assert.rejects(Array.fromAsync(decompress(compression, input, 'x')), /the disk is gone/, compression)
  }
  async function* gzFailing(): AsyncGenerator<Buffer> {
    yield gzipSync(LONG).subarray(0, 10)
    throw new Error('the disk is gone')
  }
})

test('compressionOf() goes by the ending', () => {
  assert.equal(compressionOf('data.tar.xz'), 'xz')
  assert.equal(compressionOf('Packages'), 'none')
  assert.equal(compressionOf('data.tar.zst'), 'zst')
  assert.equal(compressionOf('data.tar.bz2'), undefined)
})
