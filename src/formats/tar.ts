import { AslError } from '../core/mod.ts'
import { hostile } from './archive-path.ts'
import { type ByteReader, type ByteStream, openByteReader } from './byte-reader.ts'
import { type PaxOverrides, parsePax } from './pax.ts'
import { parseTarHeader, type RawTarHeader, TAR_BLOCK_SIZE_BYTES } from './tar-header.ts'

/** f file, h further name of an earlier file, l link, d directory, c/b device, p fifo. */
export type TarEntryType = 'f' | 'h' | 'l' | 'd' | 'c' | 'b' | 'p'

export interface TarEntry {
  /** As the archive has it: check it with `parseArchivePath` before use. */
  readonly path: Buffer
  readonly type: TarEntryType
  /** 0..07777 */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly userName: string
  readonly groupName: string
  /** Whole seconds since 1970. */
  readonly mtime: number
  /** 0 for everything but files. */
  readonly sizeBytes: number
  /** Of a link its target, of a further name the path of the earlier member. */
  readonly linkPath: Buffer | undefined
  readonly rdev: readonly [major: number, minor: number] | undefined
  /** Ascending by name. */
  readonly xattrs: readonly (readonly [name: Buffer, value: Buffer])[]
  /** Content of a file. Once, and before the next entry is asked for; what is not read is skipped. */
  readonly content: AsyncIterable<Buffer>
}

/**
 * The entries of a tar archive in order, in constant memory: POSIX ustar and pax (with SCHILY.xattr), GNU long names
 * and large numbers, v7. Our own and not a library, see docs/decisions/tar-reader.md. `name` is what messages call it.
 * @throws AslError FORMAT_INVALID for what is no tar or a kind we do not read; ARCHIVE_HOSTILE for a member that lies
 */
export async function* readTar(stream: ByteStream, name: string): AsyncGenerator<TarEntry, void, undefined> {
  const reader = openByteReader(stream, name)
  let everywhere: PaxOverrides = {}
  let next: PaxOverrides = {}
  try {
    for (;;) {
      const offset = reader.offset
      const block = await reader.tryRead(TAR_BLOCK_SIZE_BYTES)
      const raw = block && parseTarHeader(block, name, offset)
      if (raw === undefined) break
      if (raw.typeFlag === 'x') next = { ...next, ...parsePax(await extension(reader, raw, name), name) }
      else if (raw.typeFlag === 'g')
        everywhere = { ...everywhere, ...parsePax(await extension(reader, raw, name), name) }
      else if (raw.typeFlag === 'L') next = { ...next, path: untilNul(await extension(reader, raw, name)) }
      else if (raw.typeFlag === 'K') next = { ...next, linkPath: untilNul(await extension(reader, raw, name)) }
      else {
        const { sizeBytes, ...entry } = describe(raw, { ...everywhere, ...next }, name)
        next = {}
        const end = reader.offset + sizeBytes
        const what = `member "${entry.path.toString('utf8')}"`
        yield { ...entry, sizeBytes, content: reader.chunks(sizeBytes, what, 'ARCHIVE_HOSTILE') }
        await reader.skip(end - reader.offset + padding(sizeBytes), what, 'ARCHIVE_HOSTILE')
      }
    }
    // Padding follows the end mark. It is read so that the digests of the compression below are checked.
    await reader.drain(MAX_PADDING_SIZE_BYTES)
  } finally {
    await reader.close()
  }
}

const TYPES: Readonly<Record<string, TarEntryType>> = {
  '0': 'f',
  '\0': 'f',
  '7': 'f',
  '1': 'h',
  '2': 'l',
  '3': 'c',
  '4': 'b',
  '5': 'd',
  '6': 'p',
}

/** Copies the names: a slice would keep the whole piece of the stream alive. */
function describe(raw: RawTarHeader, pax: PaxOverrides, archive: string): Omit<TarEntry, 'content'> {
  const path = pax.path ?? raw.path
  const isOldFolder = raw.typeFlag === '\0' && path.at(-1) === 0x2f
  const type = isOldFolder ? 'd' : TYPES[raw.typeFlag]
  if (type === undefined) {
    throw new AslError(
      'FORMAT_INVALID',
      `${archive}: member "${path}" is of type ${JSON.stringify(raw.typeFlag)}, which is not read`,
    )
  }
  const sizeBytes = pax.sizeBytes ?? raw.sizeBytes
  if (type !== 'f' && sizeBytes !== 0) throw hostile(archive, path, `it is no file, but claims ${sizeBytes} bytes`)
  const linkPath = pax.linkPath ?? raw.linkPath
  const isLink = type === 'l' || type === 'h'
  if (isLink && linkPath.length === 0) throw hostile(archive, path, 'it is a link to nowhere')
  if (path.length === 0) throw hostile(archive, path, 'it has no name')
  return {
    path: Buffer.from(path),
    type,
    mode: raw.mode & 0o7777,
    uid: pax.uid ?? raw.uid,
    gid: pax.gid ?? raw.gid,
    userName: pax.userName ?? raw.userName,
    groupName: pax.groupName ?? raw.groupName,
    mtime: pax.mtime ?? raw.mtime,
    sizeBytes,
    linkPath: isLink ? Buffer.from(linkPath) : undefined,
    rdev: type === 'c' || type === 'b' ? raw.rdev : undefined,
    xattrs: pax.xattrs ?? [],
  }
}

/** Long names and pax records are small; a header that says otherwise wants our memory. */
const MAX_EXTENSION_SIZE_BYTES = 1024 * 1024
const MAX_PADDING_SIZE_BYTES = 16 * 1024 * 1024

async function extension(reader: ByteReader, raw: RawTarHeader, archive: string): Promise<Buffer> {
  if (raw.sizeBytes > MAX_EXTENSION_SIZE_BYTES) {
    throw hostile(archive, raw.path, `its extended header claims ${raw.sizeBytes} bytes`)
  }
  const content = Buffer.from(await reader.read(raw.sizeBytes, 'an extended header', 'ARCHIVE_HOSTILE'))
  await reader.skip(padding(raw.sizeBytes), 'an extended header', 'ARCHIVE_HOSTILE')
  return content
}

function untilNul(content: Buffer): Buffer {
  const nul = content.indexOf(0)
  return nul === -1 ? content : content.subarray(0, nul)
}

function padding(sizeBytes: number): number {
  return (TAR_BLOCK_SIZE_BYTES - (sizeBytes % TAR_BLOCK_SIZE_BYTES)) % TAR_BLOCK_SIZE_BYTES
}
