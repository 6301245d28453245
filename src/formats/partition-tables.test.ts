import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { bufferSource } from './byte-source.ts'
import { readGpt, tryReadGpt } from './gpt.ts'
import { PARTITION_TYPES } from './guid.ts'
import { tryReadMbr } from './mbr.ts'

const SECTOR = 512
const SECTORS = 256
const LAST = SECTORS - 1

test('readGpt() reads partitions, names and GUIDs', () => {
  const gpt = readGpt(bufferSource(disk()))
  assert.equal(gpt.copy, 'primary')
  assert.equal(gpt.otherCopyProblem, undefined)
  assert.equal(gpt.diskGuid, '04030201-0605-0807-090A-0B0C0D0E0F10')
  assert.deepEqual(
    gpt.partitions.map(({ number, typeGuid, name, extent }) => [number, typeGuid, name, extent]),
    [
      [1, PARTITION_TYPES.esp, 'EFI', { offset: 40 * SECTOR, sizeBytes: 10 * SECTOR }],
      [3, PARTITION_TYPES.esp, 'höher', { offset: 60 * SECTOR, sizeBytes: SECTOR }],
    ],
  )
})

test('the backup is used when the primary copy is damaged, and both damaged are an error', () => {
  for (const at of [SECTOR + 1, SECTOR + 9, SECTOR + 13, SECTOR + 60, 2 * SECTOR + 40]) {
    const bytes = disk()
    bytes[at] = (bytes[at] as number) ^ 0x40
    const gpt = readGpt(bufferSource(bytes))
    assert.equal(gpt.copy, 'backup', `byte ${at}`)
    assert.ok(gpt.otherCopyProblem !== undefined)
    assert.equal(gpt.partitions.length, 2)
    bytes[LAST * SECTOR + 60] = 0xff
    assert.throws(() => readGpt(bufferSource(bytes)), { code: 'FORMAT_INVALID', message: /both copies are damaged/ })
  }
})

test('a damaged backup, or one of another disk, is named', () => {
  const damaged = disk()
  damaged[LAST * SECTOR + 60] = 0xff
  assert.match(readGpt(bufferSource(damaged)).otherCopyProblem ?? '', /CRC/)
  const other = disk()
  disk([{ first: 70, last: 80, name: 'else' }]).copy(other, (LAST - 32) * SECTOR, (LAST - 32) * SECTOR)
  assert.match(readGpt(bufferSource(other)).otherCopyProblem ?? '', /another table/)
})

test('partitions that overlap or leave the disk are refused, in either copy', () => {
  for (const [entries, message] of [
    [
      [
        { first: 40, last: 60, name: 'a' },
        { first: 60, last: 70, name: 'b' },
      ],
      /overlaps partition 1/,
    ],
    [[{ first: 40, last: SECTORS, name: 'a' }], /does not lie on the disk/],
    [[{ first: 50, last: 40, name: 'a' }], /does not lie on the disk/],
  ] as const) {
    assert.throws(() => readGpt(bufferSource(disk(entries))), { code: 'FORMAT_INVALID', message })
  }
})

test('a disk without a table is not an error; a truncated one is', () => {
  assert.equal(tryReadGpt(bufferSource(Buffer.alloc(100_000))), undefined)
  assert.equal(tryReadGpt(bufferSource(Buffer.alloc(3))), undefined)
  assert.throws(() => readGpt(bufferSource(Buffer.alloc(100_000))), { code: 'FORMAT_INVALID' })
  assert.throws(() => readGpt(bufferSource(disk().subarray(0, 20 * SECTOR))), { code: 'FORMAT_INVALID' })
})

test('tryReadMbr() reads primary and logical partitions', () => {
  const bytes = mbr([
    { type: 0x0c, first: 8, sectors: 8, isActive: true },
    { type: 0x05, first: 32, sectors: 64 },
  ])
  bytes.writeUInt32LE(0xdecafbad, 440)
  extended(bytes, 32, { type: 0x83, first: 2, sectors: 4 }, { type: 0x05, first: 16, sectors: 8 })
  extended(bytes, 48, { type: 0x82, first: 1, sectors: 2 })
  const found = tryReadMbr(bufferSource(bytes))
  assert.equal(found?.diskSignature, 0xdecafbad)
  assert.equal(found?.isProtective, false)
  assert.deepEqual(
    found?.partitions.map(({ number, type, isActive, firstLba, sectors }) => [
      number,
      type,
      isActive,
      firstLba,
      sectors,
    ]),
    [
      [1, 0x0c, true, 8, 8],
      [2, 0x05, false, 32, 64],
      [5, 0x83, false, 34, 4],
      [6, 0x82, false, 49, 2],
    ],
  )
})

test('a chain of logical partitions that loops, and a partition outside the disk, are refused', () => {
  const loop = mbr([{ type: 0x05, first: 32, sectors: 64 }])
  extended(loop, 32, { type: 0x83, first: 2, sectors: 4 }, { type: 0x05, first: 0, sectors: 8 })
  assert.throws(() => tryReadMbr(bufferSource(loop)), { code: 'FORMAT_INVALID', message: /chain does not end/ })
  const outside = mbr([{ type: 0x83, first: 250, sectors: 7 }])
  assert.throws(() => tryReadMbr(bufferSource(outside)), { code: 'FORMAT_INVALID', message: /MBR partition 1/ })
})

test('the cover of a GPT may claim more than the disk has', () => {
  const found = tryReadMbr(bufferSource(mbr([{ type: 0xee, first: 1, sectors: 0xffffffff }])))
  assert.equal(found?.isProtective, true)
  assert.equal(tryReadMbr(bufferSource(Buffer.alloc(512))), undefined)
})

interface GptSample {
  readonly first: number
  readonly last: number
  readonly name: string
  readonly index?: number
}

const TWO: readonly GptSample[] = [
  { first: 40, last: 49, name: 'EFI' },
  { first: 60, last: 60, name: 'höher', index: 2 },
]

function disk(entries: readonly GptSample[] = TWO): Buffer {
  const bytes = Buffer.alloc(SECTORS * SECTOR)
  const table = Buffer.alloc(128 * 128)
  for (const [i, { first, last, name, index = i }] of entries.entries()) {
    const at = index * 128
    Buffer.from('28732ac11ff8d211ba4b00a0c93ec93b', 'hex').copy(table, at)
    table.fill(0x11 + i, at + 16, at + 32)
    table.writeBigUInt64LE(BigInt(first), at + 32)
    table.writeBigUInt64LE(BigInt(last), at + 40)
    table.write(name, at + 56, 'utf16le')
  }
  for (const [lba, other, entriesLba] of [
    [1, LAST, 2],
    [LAST, 1, LAST - 32],
  ] as const) {
    const header = Buffer.alloc(92)
    header.write('EFI PART')
    header.writeUInt32LE(0x10000, 8)
    header.writeUInt32LE(92, 12)
    for (const [offset, value] of [
      [24, lba],
      [32, other],
      [40, 34],
      [48, LAST - 33],
      [72, entriesLba],
    ] as const) {
      header.writeBigUInt64LE(BigInt(value), offset)
    }
    for (let i = 0; i < 16; i++) header[56 + i] = i + 1
    header.writeUInt32LE(128, 80)
    header.writeUInt32LE(128, 84)
    header.writeUInt32LE(crc32(table), 88)
    header.writeUInt32LE(crc32(header), 16)
    header.copy(bytes, lba * SECTOR)
    table.copy(bytes, entriesLba * SECTOR)
  }
  return bytes
}

interface MbrSample {
  readonly type: number
  readonly first: number
  readonly sectors: number
  readonly isActive?: boolean
}

function mbr(entries: readonly MbrSample[]): Buffer {
  const bytes = Buffer.alloc(SECTORS * SECTOR)
  extended(bytes, 0, ...entries)
  return bytes
}

function extended(bytes: Buffer, lba: number, ...entries: readonly MbrSample[]): void {
  for (const [i, entry] of entries.entries()) {
    const at = lba * SECTOR + 446 + i * 16
    bytes[at] = entry.isActive === true ? 0x80 : 0
    bytes[at + 4] = entry.type
    bytes.writeUInt32LE(entry.first, at + 8)
    bytes.writeUInt32LE(entry.sectors, at + 12)
  }
  bytes.writeUInt16BE(0x55aa, lba * SECTOR + 510)
}
