/** Writes a small PE32+ EFI application by hand, honest or not. */
export interface PeParts {
  /** Machine code, run from its first byte. */
  readonly code: Buffer
  /** Further sections by name. */
  readonly sections?: readonly (readonly [name: string, content: Buffer])[]
  /** Appended as certificate table, already in the form of WIN_CERTIFICATE. */
  readonly certificates?: Buffer
}

const ALIGNMENT = 512
const PE_OFFSET = 64
const OPTIONAL_OFFSET = PE_OFFSET + 24
const OPTIONAL_BYTES = 240
const SECTIONS_OFFSET = OPTIONAL_OFFSET + OPTIONAL_BYTES
/** Where tests put their lies. */
export const PE_FIELDS = {
  machine: PE_OFFSET + 4,
  sectionCount: PE_OFFSET + 6,
  optionalBytes: PE_OFFSET + 20,
  magic: OPTIONAL_OFFSET,
  sizeOfHeaders: OPTIONAL_OFFSET + 60,
  checksum: OPTIONAL_OFFSET + 64,
  directoryCount: OPTIONAL_OFFSET + 108,
  certificateEntry: OPTIONAL_OFFSET + 112 + 4 * 8,
  firstSection: SECTIONS_OFFSET,
} as const

export function peBytes({ code, sections = [], certificates = Buffer.alloc(0) }: PeParts): Buffer {
  const all = [['.text', code] as const, ...sections]
  const headerBytes = aligned(SECTIONS_OFFSET + all.length * 40)
  const headers = Buffer.alloc(headerBytes)
  headers.write('MZ')
  headers.writeUInt32LE(PE_OFFSET, 60)
  headers.write('PE\0\0', PE_OFFSET, 'latin1')
  headers.writeUInt16LE(0x8664, PE_FIELDS.machine)
  headers.writeUInt16LE(all.length, PE_FIELDS.sectionCount)
  headers.writeUInt16LE(OPTIONAL_BYTES, PE_FIELDS.optionalBytes)
  headers.writeUInt16LE(0x0206, PE_OFFSET + 22) // executable, no line numbers, debug information stripped
  const optional = (offset: number, value: number): number => headers.writeUInt32LE(value, OPTIONAL_OFFSET + offset)
  headers.writeUInt16LE(0x20b, PE_FIELDS.magic)
  optional(16, 0x1000) // entry point: the first section
  optional(20, 0x1000)
  optional(32, 0x1000)
  optional(36, ALIGNMENT)
  optional(60, headerBytes)
  headers.writeUInt16LE(10, OPTIONAL_OFFSET + 68) // EFI application
  optional(108, 16)
  let raw = headerBytes
  let virtual = 0x1000
  const contents: Buffer[] = []
  for (const [i, [name, content]] of all.entries()) {
    const at = SECTIONS_OFFSET + i * 40
    headers.write(name, at)
    headers.writeUInt32LE(content.length, at + 8)
    headers.writeUInt32LE(virtual, at + 12)
    headers.writeUInt32LE(aligned(content.length), at + 16)
    headers.writeUInt32LE(raw, at + 20)
    headers.writeUInt32LE(i === 0 ? 0x60000020 : 0x40000040, at + 36)
    contents.push(content, Buffer.alloc(aligned(content.length) - content.length))
    raw += aligned(content.length)
    virtual += Math.ceil(content.length / 0x1000) * 0x1000
  }
  optional(56, virtual)
  if (certificates.length > 0) {
    headers.writeUInt32LE(raw, PE_FIELDS.certificateEntry)
    headers.writeUInt32LE(certificates.length, PE_FIELDS.certificateEntry + 4)
  }
  return Buffer.concat([headers, ...contents, certificates])
}

function aligned(sizeBytes: number): number {
  return Math.ceil(sizeBytes / ALIGNMENT) * ALIGNMENT
}
