import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bufferSource } from './byte-source.ts'
import { openIso9660 } from './iso9660.ts'
import { openIsoFolder } from './iso9660-folder.ts'

const SECTOR = 2048
const FILE_MODE = 0o100644
const FOLDER_MODE = 0o040755

test('openIso9660() reads Rock Ridge names, modes, links and contents', () => {
  const iso = openIso9660(bufferSource(sampleIso(), 'sample.iso'))
  assert.equal(iso.names, 'rock-ridge')
  assert.equal(iso.volumeId, 'SAMPLE')
  const rows = [...iso.walk()].map(({ path, entry }) => [path.toString(), entry.type, entry.mode.toString(8)])
  assert.deepEqual(rows, [
    ['Folder', 'd', '755'],
    ['Folder/notes', 'f', '644'],
    ['link', 'l', '777'],
  ])
  assert.equal(iso.tryFind('link')?.target?.toString(), '/a/../b')
  const notes = iso.tryFind('/Folder/notes')
  assert.deepEqual(notes?.extents, [{ offset: 21 * SECTOR, sizeBytes: 5 }])
  assert.equal(iso.open(notes!).read(0, 5).toString(), 'hello')
  assert.equal(iso.tryFind('Folder/absent'), undefined)
  assert.equal(iso.tryFind('Folder/notes/below-a-file'), undefined)
})

test('a name in a continuation area is put together, an endless chain is refused', () => {
  const ce = (block: number): Buffer => susp('CE', both(block), both(0), both(64))
  const image = sampleIso({ folderEntry: Buffer.concat([susp('NM', Buffer.from([1]), Buffer.from('Fol')), ce(22)]) })
  Buffer.concat([px(FOLDER_MODE), susp('NM', Buffer.from([0]), Buffer.from('der'))]).copy(image, 22 * SECTOR)
  assert.equal(openIso9660(bufferSource(image)).tryFind('Folder')?.type, 'd')
  ce(22).copy(image, 22 * SECTOR)
  refuses(image, /directory record at \d+: a chain of continuation areas that does not end/)
})

test('a loop of directories is refused', () => {
  refuses(sampleIso({ folderBlock: 19 }), /folder Folder at 38912: is reached twice/)
})

test('names that climb out, or hide a folder behind a file, are refused', () => {
  for (const name of ['..', '.', 'a/b', 'nul\0', '']) {
    refuses(sampleIso({ folderEntry: Buffer.concat([px(FOLDER_MODE), nm(name)]) }), /its name is/)
  }
  refuses(sampleIso({ folderEntry: Buffer.concat([px(FILE_MODE), nm('Folder')]) }), /a folder by one field/)
  refuses(sampleIso({ folderEntry: Buffer.concat([px(FOLDER_MODE), nm('link')]) }), /link is listed twice/)
})

test('a file of several extents is one file, and nothing may come between its parts', () => {
  const image = sampleIso()
  const parts = (second: string): Buffer => {
    const first = record('NOTES.;1', 21, 5, false, Buffer.concat([px(FILE_MODE), nm('notes')]))
    first[25] = 0x80
    const last = record(second, 22, 6, false, Buffer.concat([px(FILE_MODE), nm('notes')]))
    return Buffer.concat([record('\0', 20, SECTOR, true), record('\x01', 19, SECTOR, true), first, last])
  }
  image.write(' world', 22 * SECTOR)
  parts('NOTES.;1').copy(image, 20 * SECTOR)
  const iso = openIso9660(bufferSource(image))
  const notes = iso.tryFind('Folder/notes')!
  assert.equal(notes.sizeBytes, 11)
  assert.equal(iso.open(notes).read(0, 11).toString(), 'hello world')
  assert.equal(iso.open(notes).read(4, 3).toString(), 'o w')
  parts('OTHER.;1').copy(image, 20 * SECTOR)
  refuses(image, /comes between the parts/)
})

test('an extent outside the image is refused', () => {
  refuses(sampleIso({ notesBlock: 5000 }), /the extent of the record at \d+ wants 5 bytes at offset 10240000/)
})

test('a record that is longer than its sector is refused', () => {
  const image = sampleIso()
  const sizeBytes = record('FILLER1', 0, 0, false, Buffer.alloc(214)).length
  for (let i = 0; i < 8; i++) {
    record(`FILLER${i}`, 0, 0, false, Buffer.alloc(214)).copy(image, 20 * SECTOR + i * sizeBytes)
  }
  image[20 * SECTOR + 8 * sizeBytes] = 60
  refuses(image, /says it has 60 bytes, \d+ are left in its sector/)
})

test('a truncated image is refused at opening', () => {
  const image = sampleIso()
  assert.throws(() => openIso9660(bufferSource(image.subarray(0, image.length - 1))), { code: 'FORMAT_INVALID' })
  assert.throws(() => openIso9660(bufferSource(Buffer.alloc(40_000))), /not an ISO 9660 image/)
  assert.throws(() => openIso9660(bufferSource(Buffer.alloc(10))), /not an ISO 9660 image/)
})

test('bootEntries() reads both platforms; a catalog or boot image outside is refused', () => {
  const catalog = bootCatalog(21, 21)
  const image = sampleIso({ catalog })
  const found = openIso9660(bufferSource(image)).bootEntries()
  assert.deepEqual(
    found.map(entry => [entry.platform, entry.extent.offset, entry.sectorCount]),
    [
      ['bios', 21 * SECTOR, 4],
      ['uefi', 21 * SECTOR, 2],
    ],
  )
  const outside = openIso9660(bufferSource(sampleIso({ catalog: bootCatalog(21, 7000) })))
  assert.throws(() => outside.bootEntries(), { code: 'FORMAT_INVALID', message: /boot entry at/ })
  catalog[4] = 1
  const badSum = openIso9660(bufferSource(sampleIso({ catalog })))
  assert.throws(() => badSum.bootEntries(), /checksum/)
  const far = sampleIso({ catalog })
  far.writeUInt32LE(90_000, 17 * SECTOR + 0x47)
  assert.throws(() => openIso9660(bufferSource(far)).bootEntries(), /the boot catalog wants/)
})

test('every single flipped byte of the metadata is read or refused, never a crash', () => {
  const image = sampleIso({ catalog: bootCatalog(21, 21) })
  for (let at = 16 * SECTOR; at < 21 * SECTOR; at++) {
    const before = image[at] as number
    if (before === 0 && at % 37 !== 0) continue
    for (const value of [before ^ 0xff, before ^ 0x01, before ^ 0x80]) {
      image[at] = value
      try {
        const iso = openIso9660(bufferSource(image))
        for (const { entry } of iso.walk()) if (entry.type === 'f') iso.open(entry).read(0, entry.sizeBytes)
        iso.bootEntries()
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'FORMAT_INVALID', `byte ${at}: ${(error as Error).stack}`)
      }
    }
    image[at] = before
  }
})

test('openIsoFolder() reads files below a folder and tells absent from wrong', () => {
  const folder = openIsoFolder(openIso9660(bufferSource(sampleIso(), 'sample.iso')), '/')
  assert.deepEqual(folder.readDir(''), ['Folder', 'link'])
  assert.equal(folder.readFile('Folder/notes').toString(), 'hello')
  const part = Buffer.alloc(10)
  assert.equal(folder.openRead('Folder/notes').pread(part, 2), 3)
  assert.equal(part.toString('utf8', 0, 3), 'llo')
  assert.equal(folder.tryStat('Folder/absent'), undefined)
  assert.deepEqual(folder.tryStat('Folder'), { kind: 'folder', sizeBytes: SECTOR, mode: 0o755 })
  assert.throws(() => folder.readFile('Folder/absent'), { code: 'PATH_NOT_FOUND' })
  assert.throws(() => folder.readFile('link'), { code: 'FORMAT_INVALID' })
  assert.throws(() => folder.readFile('Folder/notes', 4), { code: 'LIMIT_EXCEEDED' })
})

function refuses(image: Buffer, message: RegExp): void {
  assert.throws(() => [...openIso9660(bufferSource(image, 'hostile.iso')).walk()], { code: 'FORMAT_INVALID', message })
}

interface SampleOptions {
  readonly folderEntry?: Buffer
  readonly folderBlock?: number
  readonly notesBlock?: number
  readonly catalog?: Buffer
}

/** Sectors: 16 descriptor, 17 boot record, 18 end, 19 root, 20 `Folder`, 21 content, 22 spare, 23 boot catalog. */
function sampleIso(options: SampleOptions = {}): Buffer {
  const image = Buffer.alloc(24 * SECTOR)
  const primary = Buffer.alloc(SECTOR)
  primary[0] = 1
  primary.write('CD001\x01', 1)
  primary.fill(' ', 40, 72)
  primary.write('SAMPLE', 40)
  both(24).copy(primary, 80)
  primary.writeUInt16LE(SECTOR, 128)
  record('\0', 19, SECTOR, true).copy(primary, 156)
  primary.copy(image, 16 * SECTOR)
  image.write('\0CD001\x01EL TORITO SPECIFICATION', 17 * SECTOR)
  image.writeUInt32LE(23, 17 * SECTOR + 0x47)
  image.write('\xffCD001\x01', 18 * SECTOR, 'latin1')
  const sp = susp('SP', Buffer.from([0xbe, 0xef, 0]))
  const folderBlock = options.folderBlock ?? 20
  Buffer.concat([
    record('\0', 19, SECTOR, true, Buffer.concat([sp, px(FOLDER_MODE)])),
    record('\x01', 19, SECTOR, true, px(FOLDER_MODE)),
    record('FOLDER', folderBlock, SECTOR, true, options.folderEntry ?? Buffer.concat([px(FOLDER_MODE), nm('Folder')])),
    record('LINK.;1', 0, 0, false, Buffer.concat([px(0o120777), nm('link'), sl()])),
  ]).copy(image, 19 * SECTOR)
  Buffer.concat([
    record('\0', 20, SECTOR, true, px(FOLDER_MODE)),
    record('\x01', 19, SECTOR, true, px(FOLDER_MODE)),
    record('NOTES.;1', options.notesBlock ?? 21, 5, false, Buffer.concat([px(FILE_MODE), nm('notes')])),
  ]).copy(image, 20 * SECTOR)
  image.write('hello', 21 * SECTOR)
  options.catalog?.copy(image, 23 * SECTOR)
  return image
}

function record(
  identifier: string,
  block: number,
  sizeBytes: number,
  isFolder: boolean,
  use: Buffer = Buffer.alloc(0),
): Buffer {
  const name = Buffer.from(identifier, 'latin1')
  const nameEnd = 33 + name.length + ((name.length & 1) === 0 ? 1 : 0)
  const bytes = Buffer.alloc(nameEnd + use.length + (use.length & 1))
  bytes[0] = bytes.length
  both(block).copy(bytes, 2)
  both(sizeBytes).copy(bytes, 10)
  Buffer.from([125, 6, 1, 12, 0, 0, 0]).copy(bytes, 18)
  bytes[25] = isFolder ? 2 : 0
  bytes[32] = name.length
  name.copy(bytes, 33)
  use.copy(bytes, nameEnd)
  return bytes
}

function both(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(value, 0)
  bytes.writeUInt32BE(value, 4)
  return bytes
}

function susp(signature: string, ...parts: Buffer[]): Buffer {
  const data = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(signature), Buffer.from([4 + data.length, 1]), data])
}

function px(mode: number): Buffer {
  return susp('PX', both(mode), both(1), both(0), both(0))
}

function nm(name: string): Buffer {
  return susp('NM', Buffer.from([0]), Buffer.from(name))
}

/** `/a/../b`: root, `a`, parent, and `b` in two parts that belong together. */
function sl(): Buffer {
  return Buffer.concat([
    susp('SL', Buffer.from([1, 8, 0, 0, 1, 0x61, 4, 0, 1, 0])),
    susp('SL', Buffer.from([0, 0, 1, 0x62])),
  ])
}

function bootCatalog(biosBlock: number, uefiBlock: number): Buffer {
  const bytes = Buffer.alloc(SECTOR)
  bytes[0] = 1
  bytes[30] = 0x55
  bytes[31] = 0xaa
  let sum = 0
  for (let at = 0; at < 32; at += 2) sum += bytes.readUInt16LE(at)
  bytes.writeUInt16LE(-sum & 0xffff, 28)
  const entry = (at: number, sectors: number, block: number): void => {
    bytes[at] = 0x88
    bytes.writeUInt16LE(sectors, at + 6)
    bytes.writeUInt32LE(block, at + 8)
  }
  entry(32, 4, biosBlock)
  Buffer.from([0x91, 0xef, 1, 0]).copy(bytes, 64)
  entry(96, 2, uefiBlock)
  return bytes
}
