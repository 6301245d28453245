import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bufferSource } from './byte-source.ts'
import { openFat } from './fat.ts'
import { shortNameChecksum } from './fat-names.ts'

const SECTOR = 512
/** Sectors: 0 boot, 1 table, 2 copy, 3 root of 16 records, 4 cluster 2, … */
const DATA = 4

test('openFat() reads names long and short, folders, contents and times', () => {
  const fat = openFat(bufferSource(volume(), 'esp.img'))
  assert.deepEqual([fat.type, fat.label, fat.serial, fat.clusterBytes], ['fat12', 'ESP', 0x12345678, 512])
  assert.deepEqual(
    [...fat.walk()].map(({ path, entry }) => [path, entry.isFolder, entry.sizeBytes]),
    [
      ['EFI', true, 0],
      ['EFI/a rather long name.efi', false, 700],
      ['empty.txt', false, 0],
    ],
  )
  const file = fat.tryFind('/efi/A RATHER LONG NAME.EFI')
  assert.equal(file?.mtimeSeconds, Date.UTC(2025, 5, 15, 12, 30, 2) / 1000)
  assert.equal(file?.shortName, 'ARATHE~1.EFI')
  assert.deepEqual(file?.extents, [
    { offset: (DATA + 1) * SECTOR, sizeBytes: 512 },
    { offset: (DATA + 3) * SECTOR, sizeBytes: 188 },
  ])
  const content = fat.open(file!).read(0, 700)
  assert.equal(content.toString('latin1', 510, 514), 'xxyy')
  assert.equal(fat.tryFind('EFI/absent'), undefined)
  assert.equal(fat.tryFind('EFI/ARATHE~1.EFI')?.sizeBytes, 700)
})

test('chains that loop, leave the volume, end early or run through free clusters are refused', () => {
  for (const [next, message] of [
    [3, /is a loop/],
    [4000, /reaches 4000 after 1/],
    [0xfff, /reaches 4095 after 1/],
    [0xff7, /reaches 4087 after 1/],
    [0, /reaches 0 after 1/],
  ] as const) {
    const bytes = volume()
    link(bytes, 3, next)
    refuses(bytes, message)
  }
  const huge = volume()
  huge.writeUInt32LE(2_000_000, DATA * SECTOR + 3 * 32 + 28)
  refuses(huge, /claims 2000000 bytes/)
  const loop = volume()
  link(loop, 2, 2)
  refuses(loop, /folder EFI: its chain of clusters is a loop/)
})

test('a folder that is its own child is refused', () => {
  const bytes = volume()
  record('LOOP       ', 0x10, 2, 0).copy(bytes, DATA * SECTOR + 4 * 32)
  refuses(bytes, /folder EFI\/LOOP: is reached twice/)
})

test('names that climb out or come twice are refused', () => {
  for (const name of ['A/B', 'A\\B', '..', '.']) {
    const bytes = volume()
    longName(name, 'EMPTY   TXT').copy(bytes, 3 * SECTOR + 2 * 32)
    record('EMPTY   TXT', 0x20, 0, 0).copy(bytes, 3 * SECTOR + 3 * 32)
    refuses(bytes, /its name is/)
  }
  const bytes = volume()
  record('EFI        ', 0x20, 0, 0).copy(bytes, 3 * SECTOR + 3 * 32)
  refuses(bytes, /EFI is listed twice/)
})

test('a long name that belongs to another entry is left out', () => {
  const bytes = volume()
  const at = DATA * SECTOR + 3 * 32
  bytes.write('OTHER', at)
  assert.ok(openFat(bufferSource(bytes)).tryFind('EFI/OTHERE~1.EFI') !== undefined)
})

test('a boot sector that lies about the volume is refused', () => {
  for (const [offset, value, message] of [
    [510, 0, /no FAT file system/],
    [11, 513, /sectors of 513/],
    [13, 3, /clusters of 1536/],
    [14, 0, /no file allocation table/],
    [16, 0, /no file allocation table/],
    [19, 65_000, /wants 33280000 bytes/],
  ] as const) {
    const bytes = volume()
    if (offset === 13 || offset === 16) bytes[offset] = value
    else bytes.writeUInt16LE(value, offset)
    refuses(bytes, message)
  }
  assert.throws(() => openFat(bufferSource(Buffer.alloc(10))), { code: 'FORMAT_INVALID' })
})

test('every single flipped byte of the metadata is read or refused, never a crash', () => {
  const bytes = volume()
  for (let at = 0; at < (DATA + 1) * SECTOR; at++) {
    const before = bytes[at] as number
    for (const value of [before ^ 0xff, before ^ 0x01, before ^ 0x80]) {
      bytes[at] = value
      try {
        const fat = openFat(bufferSource(bytes))
        for (const { entry } of fat.walk()) if (!entry.isFolder) fat.open(entry).read(0, entry.sizeBytes)
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'FORMAT_INVALID', `byte ${at}: ${(error as Error).stack}`)
      }
    }
    bytes[at] = before
  }
})

function refuses(bytes: Buffer, message: RegExp): void {
  assert.throws(() => [...openFat(bufferSource(bytes, 'esp.img')).walk()], { code: 'FORMAT_INVALID', message })
}

function volume(): Buffer {
  const bytes = Buffer.alloc(64 * SECTOR)
  bytes.writeUInt16LE(SECTOR, 11)
  bytes[13] = 1
  bytes.writeUInt16LE(1, 14)
  bytes[16] = 2
  bytes.writeUInt16LE(16, 17)
  bytes.writeUInt16LE(64, 19)
  bytes.writeUInt16LE(1, 22)
  bytes[38] = 0x29
  bytes.writeUInt32LE(0x12345678, 39)
  bytes.write('ESP        FAT12   ', 43)
  bytes.writeUInt16BE(0x55aa, 510)
  const short = 'ARATHE~1EFI'
  Buffer.concat([
    record('ESP        ', 0x08, 0, 0),
    record('EFI        ', 0x10, 2, 0),
    record('EMPTY   TXT', 0x20, 0, 0, 0x18),
  ]).copy(bytes, 3 * SECTOR)
  Buffer.concat([
    record('.          ', 0x10, 2, 0),
    longName('a rather long name.efi', short),
    record(short, 0x20, 3, 700),
  ]).copy(bytes, DATA * SECTOR)
  for (const [cluster, next] of [
    [0, 0xff8],
    [1, 0xfff],
    [2, 0xfff],
    [3, 5],
    [5, 0xfff],
  ] as const)
    link(bytes, cluster, next)
  bytes.fill('x', (DATA + 1) * SECTOR, (DATA + 2) * SECTOR)
  bytes.fill('y', (DATA + 3) * SECTOR, (DATA + 4) * SECTOR)
  return bytes
}

function link(bytes: Buffer, cluster: number, next: number): void {
  const at = SECTOR + cluster + (cluster >> 1)
  const pair = bytes.readUInt16LE(at)
  bytes.writeUInt16LE((cluster & 1) === 0 ? (pair & 0xf000) | next : (pair & 0x000f) | (next << 4), at)
}

function record(name: string, attributes: number, cluster: number, sizeBytes: number, cases = 0): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.write(name, 'latin1')
  bytes[11] = attributes
  bytes[12] = cases
  bytes.writeUInt16LE((12 << 11) | (30 << 5) | 1, 22)
  bytes.writeUInt16LE((45 << 9) | (6 << 5) | 15, 24)
  bytes.writeUInt16LE(cluster, 26)
  bytes.writeUInt32LE(sizeBytes, 28)
  return bytes
}

function longName(name: string, short: string): Buffer {
  const units = Buffer.alloc(Math.ceil((name.length + 1) / 13) * 26, 0xff)
  units.write(`${name}\0`, 'utf16le')
  const pieces: Buffer[] = []
  for (let at = 0; at < units.length; at += 26) {
    const bytes = Buffer.alloc(32)
    bytes[0] = at / 26 + 1 + (at + 26 === units.length ? 0x40 : 0)
    bytes[11] = 0x0f
    bytes[13] = shortNameChecksum(Buffer.from(short, 'latin1'))
    units.copy(bytes, 1, at, at + 10)
    units.copy(bytes, 14, at + 10, at + 22)
    units.copy(bytes, 28, at + 22, at + 26)
    pieces.unshift(bytes)
  }
  return Buffer.concat(pieces)
}
