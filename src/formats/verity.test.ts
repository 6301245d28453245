import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bufferSource } from './byte-source.ts'
import { encodeVeritySuperblock, readVeritySuperblock, verifyDmVerity } from './dm-verity.ts'
import { fsVerityDigest, fsVerityOf, merkleTree, VERITY_BLOCK_BYTES } from './verity.ts'

test('fsVerityOf() gives the roots and file digests of the reference', () => {
  for (const [bytes, root, digest] of [
    [Buffer.alloc(0), '0'.repeat(64), '3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95'],
    [
      Buffer.from('a'),
      '344bcc8eac81250e918967cb0ba2d1cd1ea9d548141cf318f2025c2ba93b6ed2',
      'bce75948b9e7510293f8f2720412af9697c1479281323f3f220623fb8e94b557',
    ],
    [
      Buffer.alloc(4096),
      'ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7',
      'babc284ee4ffe7f449377fbf6692715b43aec7bc39c094a95878904d34bac97e',
    ],
    [
      Buffer.alloc(4097),
      '90b10db56173e2e7c847f6ff3ed85a3aebb140bc0064ec9a156ae5b2e71db988',
      '093756e4ea9683329106d4a16982682ed182c14bf076463a9e7f97305cbac743',
    ],
    [
      Buffer.alloc(524_289),
      '3e5d285ca1f11edfca6327028471f08b75634ff3361264b88d79ee2e95cacb84',
      'e4143a5705610b7ad2eb85482cfc033c7062a89b9faf9118603f592d53fd10e0',
    ],
  ] as const) {
    assert.deepEqual(fsVerityOf(bufferSource(bytes)), { root, digest }, `${bytes.length} bytes`)
    const { root: found } = merkleTree(oddChunks(bytes), bytes.length)
    assert.equal(fsVerityDigest(found, bytes.length), digest, 'in chunks that fit no block')
  }
})

test('merkleTree() lays the tree out as dm-verity reads it: 2,049 data blocks, 18 hash blocks, top level first', () => {
  const data = pattern(2049)
  const { tree, root } = treeOf(data)
  assert.equal(tree.length, 18 * VERITY_BLOCK_BYTES + VERITY_BLOCK_BYTES)
  assert.deepEqual(readVeritySuperblock(bufferSource(tree)).dataBlocks, 2049)
  verifyDmVerity(bufferSource(data), bufferSource(tree), root)
})

test('merkleTree() refuses content of another length than stated', () => {
  assert.throws(() => merkleTree([Buffer.alloc(10)], 11), { code: 'DIGEST_MISMATCH' })
})

test('verifyDmVerity() finds every single flipped bit of data, tree, superblock and root', () => {
  const data = pattern(130)
  const { tree, root } = treeOf(data)
  const verify = (d: Buffer, t: Buffer, r = root): void =>
    verifyDmVerity(bufferSource(d, 'data'), bufferSource(t, 'tree'), r)
  verify(data, tree)
  for (const at of [0, 4095, 4096, 70_000, data.length - 1]) assert.throws(() => verify(flipped(data, at), tree))
  for (let at = VERITY_BLOCK_BYTES; at < tree.length; at += 61) {
    assert.throws(() => verify(data, flipped(tree, at)), { code: 'DIGEST_MISMATCH' }, `tree byte ${at}`)
  }
  for (let at = 0; at < VERITY_BLOCK_BYTES; at++) {
    const isUuid = at >= 16 && at < 32 // an identifier, not checked by anybody
    if (!isUuid)
      assert.throws(() => verify(data, flipped(tree, at)), { code: 'FORMAT_INVALID' }, `superblock byte ${at}`)
  }
  const other = treeOf(pattern(131)).root
  assert.throws(() => verify(data, tree, other), { code: 'DIGEST_MISMATCH' })
  assert.throws(() => verify(data.subarray(4096), tree), { code: 'FORMAT_INVALID' })
  assert.throws(() => verify(data, tree.subarray(0, tree.length - 4096)), { code: 'DIGEST_MISMATCH' })
  assert.throws(() => verify(data, Buffer.concat([tree, Buffer.alloc(4096)])), { code: 'FORMAT_INVALID' })
})

function pattern(blocks: number): Buffer {
  return Buffer.alloc(blocks * VERITY_BLOCK_BYTES, Buffer.from(Array.from({ length: 4099 }, (_, i) => (i * i) & 0xff)))
}

function treeOf(data: Buffer) {
  const found: [Buffer, number][] = []
  const { root, dataBlocks, treeBytes } = merkleTree([data], data.length, (block, offset) =>
    found.push([block, offset]),
  )
  const tree = Buffer.alloc(VERITY_BLOCK_BYTES + treeBytes)
  encodeVeritySuperblock({ uuid: Buffer.alloc(16, 7), dataBlocks }).copy(tree)
  for (const [block, offset] of found) block.copy(tree, VERITY_BLOCK_BYTES + offset)
  return { tree, root }
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] as number) ^ 0x10
  return copy
}

function* oddChunks(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1013) yield bytes.subarray(at, at + 1013)
}
