import { type ByteSource, checkInside, type Extent, partOf } from './byte-source.ts'
import { formatError } from './format-error.ts'

export interface PeSection {
  readonly name: string
  readonly virtualAddress: number
  readonly virtualSizeBytes: number
  /** What lies in the file, padding included. */
  readonly raw: Extent
  /** What is meant: never longer than the section is in memory, nor than what the file holds. */
  readonly content: Extent
  readonly characteristics: number
}

/** A portable executable: an EFI program, a kernel, a unified kernel image. */
export interface Pe {
  readonly source: ByteSource
  /** 0x8664 amd64, 0xAA64 arm64. */
  readonly machine: number
  /** 10 is an EFI application. */
  readonly subsystem: number
  readonly timeDateStamp: number
  /** As written; 0 in unsigned images of ours. */
  readonly checksum: number
  readonly checksumOffset: number
  readonly sizeOfHeaders: number
  readonly sizeOfImage: number
  readonly fileAlignment: number
  /** Offset of the entry of the certificate table in the data directory. */
  readonly certificateEntryOffset: number
  /** The certificate table in the file; `undefined` in an unsigned image. */
  readonly certificates: Extent | undefined
  readonly sections: readonly PeSection[]
}

const COFF_BYTES = 20
const SECTION_BYTES = 40
const MAX_SECTIONS = 96
const PE32 = { magic: 0x10b, directories: 96 } as const
const PE32_PLUS = { magic: 0x20b, directories: 112 } as const
const CERTIFICATE_INDEX = 4
const DIRECTORY_ENTRY_BYTES = 8

/** Reads headers and sections (Microsoft, PE Format). @throws AslError FORMAT_INVALID, naming the field */
export function readPe(source: ByteSource): Pe {
  const fail = (place: string, reason: string): never => {
    throw formatError(source, place, reason)
  }
  if (source.sizeBytes < 64) fail('DOS header', 'the file ends before it')
  const dos = source.read(0, 64)
  if (dos.toString('latin1', 0, 2) !== 'MZ') fail('DOS header', 'has no signature: this is no PE file')
  const peOffset = dos.readUInt32LE(60)
  checkInside(source, peOffset, 4 + COFF_BYTES, 'the PE header')
  const coff = source.read(peOffset, 4 + COFF_BYTES)
  if (coff.toString('latin1', 0, 4) !== 'PE\0\0') fail(`PE header at ${peOffset}`, 'has no signature')
  const sectionCount = coff.readUInt16LE(6)
  if (sectionCount > MAX_SECTIONS) fail(`PE header at ${peOffset}`, `has ${sectionCount} sections`)
  const optionalOffset = peOffset + 4 + COFF_BYTES
  const optionalBytes = coff.readUInt16LE(20)
  checkInside(source, optionalOffset, optionalBytes, 'the optional header')
  const optional = source.read(optionalOffset, optionalBytes)
  const place = `optional header at ${optionalOffset}`
  const form = [PE32, PE32_PLUS].find(({ magic }) => optionalBytes >= 2 && optional.readUInt16LE(0) === magic)
  if (form === undefined) return fail(place, 'is neither PE32 nor PE32+')
  const certificateEntry = form.directories + CERTIFICATE_INDEX * DIRECTORY_ENTRY_BYTES
  if (optionalBytes < certificateEntry + DIRECTORY_ENTRY_BYTES || optional.readUInt32LE(form.directories - 4) < 5) {
    fail(place, 'has no room for a certificate table')
  }
  const sizeOfHeaders = optional.readUInt32LE(60)
  const sectionsOffset = optionalOffset + optionalBytes
  if (sizeOfHeaders < sectionsOffset + sectionCount * SECTION_BYTES || sizeOfHeaders > source.sizeBytes) {
    fail(place, `headers of ${sizeOfHeaders} bytes do not hold ${sectionCount} sections inside the file`)
  }
  const table = source.read(sectionsOffset, sectionCount * SECTION_BYTES)
  return {
    source,
    machine: coff.readUInt16LE(4),
    timeDateStamp: coff.readUInt32LE(8),
    subsystem: optional.readUInt16LE(68),
    checksum: optional.readUInt32LE(64),
    checksumOffset: optionalOffset + 64,
    sizeOfHeaders,
    sizeOfImage: optional.readUInt32LE(56),
    fileAlignment: optional.readUInt32LE(36),
    certificateEntryOffset: optionalOffset + certificateEntry,
    certificates: certificatesOf(source, optional, certificateEntry),
    sections: sectionsOf(source, table),
  }
}

/** The content of a section, such as `.cmdline` of a unified kernel image; `undefined` when there is none. */
export function peSectionSource(pe: Pe, name: string): ByteSource | undefined {
  const section = pe.sections.find(candidate => candidate.name === name)
  return section === undefined ? undefined : partOf(pe.source, section.content, name)
}

/** In this one entry of the data directory the address is an offset in the file. */
function certificatesOf(source: ByteSource, optional: Buffer, at: number): Extent | undefined {
  const extent = { offset: optional.readUInt32LE(at), sizeBytes: optional.readUInt32LE(at + 4) }
  if (extent.offset === 0 && extent.sizeBytes === 0) return undefined
  checkInside(source, extent.offset, extent.sizeBytes, 'the certificate table')
  return extent
}

function sectionsOf(source: ByteSource, table: Buffer): PeSection[] {
  const sections: PeSection[] = []
  for (let at = 0; at < table.length; at += SECTION_BYTES) {
    const header = table.subarray(at, at + SECTION_BYTES)
    const name = header.toString('latin1', 0, 8).replace(/\0.*$/s, '')
    const virtualSizeBytes = header.readUInt32LE(8)
    const rawBytes = header.readUInt32LE(16)
    const raw = { offset: rawBytes === 0 ? 0 : header.readUInt32LE(20), sizeBytes: rawBytes }
    checkInside(source, raw.offset, raw.sizeBytes, `section ${name}`)
    sections.push({
      name,
      virtualAddress: header.readUInt32LE(12),
      virtualSizeBytes,
      raw,
      content: { offset: raw.offset, sizeBytes: Math.min(raw.sizeBytes, virtualSizeBytes) },
      characteristics: header.readUInt32LE(36),
    })
  }
  return sections
}
