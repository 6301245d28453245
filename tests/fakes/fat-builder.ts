/** Writes a small FAT12 volume with short names: 128 KiB, one sector a cluster. */
export interface FatFile {
  /** Folders and name in 8.3, upper case. */
  readonly path: string
  readonly content: Buffer
}

const SECTOR = 512
const SECTORS = 256
const TABLE_SECTORS = 1
const ROOT_RECORDS = 16
const DATA_SECTOR = 1 + 2 * TABLE_SECTORS + (ROOT_RECORDS * 32) / SECTOR

export function fatBytes(files: readonly FatFile[]): Buffer {
  const volume = Buffer.alloc(SECTORS * SECTOR)
  bootSector().copy(volume)
  const table: number[] = [0xff8, 0xfff]
  const store = (content: Buffer): number => {
    const first = table.length
    const clusters = Math.max(1, Math.ceil(content.length / SECTOR))
    for (let i = 1; i <= clusters; i++) table.push(i === clusters ? 0xfff : first + i)
    content.copy(volume, (DATA_SECTOR + first - 2) * SECTOR)
    return first
  }
  /** The records of a folder; what it holds is stored first. */
  const recordsBelow = (folder: string): Buffer[] => {
    const records: Buffer[] = []
    const done = new Set<string>()
    for (const { path, content } of files) {
      if (!path.startsWith(folder)) continue
      const [name = '', ...rest] = path.slice(folder.length).split('/')
      if (done.has(name)) continue
      done.add(name)
      if (rest.length === 0) records.push(record(name, 0x20, store(content), content.length))
      else {
        const self = record('.', 0x10, 0, 0)
        const children = Buffer.concat([self, record('..', 0x10, 0, 0), ...recordsBelow(`${folder}${name}/`)])
        const first = table.length
        children.writeUInt16LE(first, 26)
        records.push(record(name, 0x10, store(children), 0))
      }
    }
    return records
  }
  Buffer.concat(recordsBelow('')).copy(volume, (1 + 2 * TABLE_SECTORS) * SECTOR)
  const packed = packTable(table)
  packed.copy(volume, SECTOR)
  packed.copy(volume, (1 + TABLE_SECTORS) * SECTOR)
  return volume
}

function bootSector(): Buffer {
  const sector = Buffer.alloc(SECTOR)
  Buffer.from('eb3c90', 'hex').copy(sector)
  sector.write('ASLTEST ', 3)
  sector.writeUInt16LE(SECTOR, 11)
  sector[13] = 1
  sector.writeUInt16LE(1, 14)
  sector[16] = 2
  sector.writeUInt16LE(ROOT_RECORDS, 17)
  sector.writeUInt16LE(SECTORS, 19)
  sector[21] = 0xf8
  sector.writeUInt16LE(TABLE_SECTORS, 22)
  sector[38] = 0x29
  sector.write('TINY       FAT12   ', 43)
  sector.writeUInt16BE(0x55aa, 510)
  return sector
}

function record(name: string, attributes: number, cluster: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(32)
  const [base = '', extension = ''] = name.startsWith('.') ? [name] : name.split('.')
  bytes.write(base.padEnd(8) + extension.padEnd(3))
  bytes[11] = attributes
  bytes.writeUInt16LE(0x21, 24) // 1980-01-01
  bytes.writeUInt16LE(cluster, 26)
  bytes.writeUInt32LE(sizeBytes, 28)
  return bytes
}

function packTable(entries: readonly number[]): Buffer {
  const bytes = Buffer.alloc(TABLE_SECTORS * SECTOR)
  for (const [cluster, value] of entries.entries()) {
    const at = cluster + (cluster >> 1)
    const pair = bytes.readUInt16LE(at)
    bytes.writeUInt16LE((cluster & 1) === 0 ? (pair & 0xf000) | value : (pair & 0x000f) | (value << 4), at)
  }
  return bytes
}
