import { AslError, isEntryName } from '../core/mod.ts'

/**
 * The names on the way to a member of an archive, `./` at the front and empty parts dropped; none for the top itself.
 * An attacker controls every byte of the path: what comes out can only lie below the folder it is applied to.
 * @throws AslError ARCHIVE_HOSTILE for an absolute path, a `..`, a NUL or a name over 255 bytes
 */
export function parseArchivePath(path: Buffer, archive: string): Buffer[] {
  if (path[0] === SLASH) throw hostile(archive, path, 'its path is absolute')
  const names: Buffer[] = []
  for (let start = 0; start <= path.length; ) {
    const slash = path.indexOf(SLASH, start)
    const end = slash === -1 ? path.length : slash
    const name = path.subarray(start, end)
    start = end + 1
    if (name.length === 0 || (name.length === 1 && name[0] === DOT)) continue
    if (!isEntryName(name)) throw hostile(archive, path, `"${shownBytes(name)}" is not a name that a folder can hold`)
    names.push(name)
  }
  return names
}

/** An archive that tries what no honest archive does; names the member. */
export function hostile(archive: string, member: Uint8Array | string, reason: string): AslError {
  const name = typeof member === 'string' ? member : shownBytes(member)
  return new AslError('ARCHIVE_HOSTILE', `${archive}: member "${name}" is refused: ${reason}`, {
    details: { archive, member: name },
    hint: 'Nothing of this archive was kept. Get it again from a source you trust, and compare its digest.',
  })
}

/** Bytes of a name for a message: UTF-8 where it is, controls escaped, and not without end. */
export function shownBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, 300)).toString('utf8')
  return `${JSON.stringify(text).slice(1, -1)}${bytes.length > 300 ? '…' : ''}`
}

const SLASH = 0x2f
const DOT = 0x2e
