import { AslError } from '../core/mod.ts'
import { hostile } from './archive-path.ts'
import type { ByteReader } from './byte-reader.ts'

/** A member of an `ar` archive in the common format that deb(5) uses. */
export interface ArMember {
  readonly name: string
  readonly sizeBytes: number
  /** Once, and before the next member is asked for; what is not read is skipped. */
  readonly content: AsyncIterable<Buffer>
}

/**
 * The members in order. The header holds decimal sizes as text: they are checked as text, and content is never
 * allocated by what a size claims.
 * @throws AslError FORMAT_INVALID; ARCHIVE_HOSTILE for a member that is larger than the archive
 */
export async function* readAr(reader: ByteReader, name: string): AsyncGenerator<ArMember, void, undefined> {
  const magic = await reader.read(MAGIC.length, 'its magic')
  if (!magic.equals(MAGIC)) throw new AslError('FORMAT_INVALID', `${name} is not an ar archive: it starts otherwise`)
  for (;;) {
    const header = await reader.tryRead(HEADER_SIZE_BYTES)
    if (header === undefined) return
    const memberName = header.toString('latin1', 0, 16).replace(/[/ ]*$/, '')
    if (header[58] !== 0x60 || header[59] !== 0x0a) {
      throw new AslError('FORMAT_INVALID', `${name}: no member header at offset ${reader.offset - HEADER_SIZE_BYTES}`)
    }
    const sizeText = header.toString('latin1', 48, 58).trimEnd()
    if (!/^[0-9]{1,10}$/.test(sizeText)) throw hostile(name, memberName, `its size is "${sizeText}"`)
    const sizeBytes = Number(sizeText)
    const end = reader.offset + sizeBytes
    const what = `member "${memberName}"`
    yield { name: memberName, sizeBytes, content: reader.chunks(sizeBytes, what, 'ARCHIVE_HOSTILE') }
    await reader.skip(end - reader.offset, what, 'ARCHIVE_HOSTILE')
    // Members start at even offsets; the last one may lack its padding.
    if (sizeBytes % 2 === 1) await reader.tryRead(1)
  }
}

const MAGIC = Buffer.from('!<arch>\n')
const HEADER_SIZE_BYTES = 60
