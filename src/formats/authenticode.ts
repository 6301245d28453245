import { type Sha256, sha256Stream } from '../core/mod.ts'
import { chunksOf, type Extent, partOf } from './byte-source.ts'
import { formatError } from './format-error.ts'
import type { Pe } from './pe.ts'

/** One signature in the certificate table: a WIN_CERTIFICATE, PKCS#7 in practice. */
export interface PeCertificate {
  readonly revision: number
  /** 2 is PKCS#7 SignedData. */
  readonly type: number
  readonly content: Extent
}

const ALIGNMENT_BYTES = 8
const HEADER_BYTES = 8

/**
 * The digest that Authenticode signs (Microsoft, Windows Authenticode Portable Executable Signature Format, 1.0): all
 * but checksum, certificate entry and certificate table, zeros added to a multiple of 8. Equal before and after signing.
 * @throws AslError FORMAT_INVALID where signers and firmware would hash different bytes: gaps or overlaps between
 *   sections, a certificate table that is not at the end
 */
export function authenticodeDigest(pe: Pe): Sha256 {
  const { source, sizeOfHeaders } = pe
  const end = pe.certificates?.offset ?? source.sizeBytes
  if (pe.certificates !== undefined && pe.certificates.offset + pe.certificates.sizeBytes !== source.sizeBytes) {
    throw formatError(source, 'certificate table', 'is not at the end of the file')
  }
  let at = sizeOfHeaders
  for (const { name, raw } of [...pe.sections].sort((a, b) => a.raw.offset - b.raw.offset)) {
    if (raw.sizeBytes === 0) continue
    if (raw.offset !== at) throw formatError(source, `section ${name}`, `begins at ${raw.offset}, wanted ${at}`)
    at += raw.sizeBytes
  }
  if (at > end) throw formatError(source, 'sections', `end at ${at}, behind what is signed`)
  const hash = sha256Stream()
  const add = (from: number, to: number): void => {
    const part = partOf(source, { offset: from, sizeBytes: to - from }, 'signed bytes')
    for (const chunk of chunksOf(part)) hash.update(chunk)
  }
  add(0, pe.checksumOffset)
  add(pe.checksumOffset + 4, pe.certificateEntryOffset)
  add(pe.certificateEntryOffset + 8, end)
  hash.update(Buffer.alloc((ALIGNMENT_BYTES - (end % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES))
  return hash.digest()
}

/** The signatures of an image, in order. @throws AslError FORMAT_INVALID */
export function peCertificates(pe: Pe): PeCertificate[] {
  const found: PeCertificate[] = []
  if (pe.certificates === undefined) return found
  const { offset, sizeBytes } = pe.certificates
  for (let at = 0; at < sizeBytes; ) {
    const place = `certificate at ${offset + at}`
    if (sizeBytes - at < HEADER_BYTES) throw formatError(pe.source, place, 'is cut off')
    const header = pe.source.read(offset + at, HEADER_BYTES)
    const length = header.readUInt32LE(0)
    if (length < HEADER_BYTES || length > sizeBytes - at)
      throw formatError(pe.source, place, `says it has ${length} bytes`)
    found.push({
      revision: header.readUInt16LE(4),
      type: header.readUInt16LE(6),
      content: { offset: offset + at + HEADER_BYTES, sizeBytes: length - HEADER_BYTES },
    })
    at += Math.ceil(length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
  }
  return found
}
