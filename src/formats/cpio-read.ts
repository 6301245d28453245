import { AslError } from '../core/mod.ts'
import { hostile, parseArchivePath, shownBytes } from './archive-path.ts'
import { type ByteReader, openByteReader } from './byte-reader.ts'
import type { ByteSource } from './byte-source.ts'
import {
  CPIO_HEADER_BYTES,
  CPIO_TRAILER,
  type CpioHeader,
  type CpioType,
  cpioPadding,
  MAX_CPIO_NAME_BYTES,
  parseCpioHeader,
  tryCpioType,
} from './cpio-header.ts'
import { type CpioPart, readCpioParts } from './cpio-parts.ts'

export interface CpioEntry {
  /** Below the top, without `./` at the front; empty for the top itself. Never climbs out, never through a link. */
  readonly path: Buffer
  readonly type: CpioType
  /** 0..07777 */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Whole seconds since 1970. */
  readonly mtime: number
  readonly sizeBytes: number
  readonly target: Buffer | undefined
  readonly rdev: readonly [major: number, minor: number] | undefined
  /** The name of the same file that came first in this archive. The content lies with any one of its names. */
  readonly linkTo: Buffer | undefined
  /** Which of the concatenated parts it comes from, from 0. */
  readonly part: number
  /** Content of a file. Once, and before the next entry is asked for; what is not read is skipped. */
  readonly content: AsyncIterable<Buffer>
}

/**
 * The members of an initramfs in order: newc archives one after the other, each plain, gzip or zstd, zeros between
 * them, as the kernel unpacks them (init/initramfs.c). In constant memory but for the names.
 * @throws AslError FORMAT_INVALID for what is no archive or ends early; ARCHIVE_HOSTILE for a member that lies
 */
export async function* readCpio(source: ByteSource): AsyncGenerator<CpioEntry, void, undefined> {
  const types = new Map<string, CpioType>()
  let index = 0
  for await (const part of readCpioParts(source)) {
    yield* readPart(part, index, source.name, types)
    index++
  }
  if (index === 0) throw new AslError('FORMAT_INVALID', `${source.name} holds no newc archive`)
}

/** One part: an archive, and for a compressed one perhaps more, zeros between them. */
async function* readPart(
  part: CpioPart,
  index: number,
  name: string,
  types: Map<string, CpioType>,
): AsyncGenerator<CpioEntry, void, undefined> {
  const reader = openByteReader(part.stream, name)
  try {
    let first = await reader.tryRead(1)
    do {
      if (first === undefined) throw new AslError('FORMAT_INVALID', `${name}: part ${index} is empty`)
      yield* readArchive(reader, first, { index, name, offset: part.offset, types })
      if (part.compression === 'none') {
        part.endsAt(reader.offset)
        return
      }
      first = await skipZeros(reader)
    } while (first !== undefined)
  } finally {
    await reader.close()
  }
}

interface ArchiveContext {
  readonly index: number
  readonly name: string
  readonly offset: number
  readonly types: Map<string, CpioType>
}

async function* readArchive(
  reader: ByteReader,
  first: Buffer,
  context: ArchiveContext,
): AsyncGenerator<CpioEntry, void, undefined> {
  const { index, name, offset, types } = context
  const links = new Map<string, Buffer>()
  const base = reader.offset - first.length
  for (let isFirst = true; ; isFirst = false) {
    const at = isFirst ? base : reader.offset
    const place = `${name}: part ${index} at ${offset}, member at ${at}`
    const rest = await reader.read(CPIO_HEADER_BYTES - (isFirst ? 1 : 0), `the archive: there is no ${CPIO_TRAILER}`)
    const header = parseCpioHeader(isFirst ? Buffer.concat([first, rest]) : rest, place)
    const rawPath = await readName(reader, header, place)
    if (rawPath.toString('latin1') === CPIO_TRAILER && header.sizeBytes === 0) return
    const end = reader.offset + header.sizeBytes
    const what = `member "${shownBytes(rawPath)}"`
    const entry = describe(header, rawPath, name)
    checkPlace(entry, types, name)
    const linkTo = linkOf(links, entry, header)
    const target = entry.type === 'l' ? await readTarget(reader, header, rawPath, name) : undefined
    const content = checked(reader.chunks(end - reader.offset, what, 'ARCHIVE_HOSTILE'), header, rawPath, name)
    yield { ...entry, target, linkTo, part: index, content }
    await reader.skip(end - reader.offset + cpioPadding(header.sizeBytes), what, 'ARCHIVE_HOSTILE')
  }
}

async function readName(reader: ByteReader, header: CpioHeader, place: string): Promise<Buffer> {
  const { nameBytes } = header
  if (nameBytes < 2 || nameBytes > MAX_CPIO_NAME_BYTES) {
    throw new AslError('ARCHIVE_HOSTILE', `${place}: a name of ${nameBytes} bytes, the limit is ${MAX_CPIO_NAME_BYTES}`)
  }
  const padded = nameBytes + cpioPadding(CPIO_HEADER_BYTES + nameBytes)
  const bytes = await reader.read(padded, 'a name')
  if (bytes.indexOf(0) !== nameBytes - 1) {
    throw new AslError('ARCHIVE_HOSTILE', `${place}: the name does not end where the header says`)
  }
  return Buffer.from(bytes.subarray(0, nameBytes - 1))
}

function describe(header: CpioHeader, rawPath: Buffer, archive: string) {
  const type = tryCpioType(header.mode)
  if (type === undefined) throw hostile(archive, rawPath, `its file type is ${(header.mode >>> 12).toString(8)}`)
  if (type !== 'f' && type !== 'l' && header.sizeBytes !== 0) {
    throw hostile(archive, rawPath, `it is no file, but claims ${header.sizeBytes} bytes`)
  }
  const names = parseArchivePath(rawPath, archive)
  const path = Buffer.concat(names.flatMap((name, i) => (i === 0 ? [name] : [SLASH, name])))
  if (names.length === 0 && type !== 'd') throw hostile(archive, rawPath, 'the top is not a folder')
  return {
    path,
    type,
    mode: header.mode & 0o7777,
    uid: header.uid,
    gid: header.gid,
    mtime: header.mtime,
    sizeBytes: type === 'f' ? header.sizeBytes : 0,
    rdev: type === 'c' || type === 'b' ? header.rdev : undefined,
  }
}

/** A later part may replace a file by a file. Anything else is how an archive writes where it was not meant to. */
function checkPlace(
  { path, type }: { readonly path: Buffer; readonly type: CpioType },
  types: Map<string, CpioType>,
  archive: string,
): void {
  const key = path.toString('latin1')
  const before = types.get(key)
  if (before !== undefined && before !== type)
    throw hostile(archive, path, `it was of type ${before} before, now ${type}`)
  for (let slash = key.indexOf('/'); slash !== -1; slash = key.indexOf('/', slash + 1)) {
    const parent = types.get(key.slice(0, slash))
    if (parent !== undefined && parent !== 'd') throw hostile(archive, path, `its path leads through a ${parent}`)
  }
  types.set(key, type)
}

/** Names of one file share inode and device; within one archive only. */
function linkOf(
  links: Map<string, Buffer>,
  entry: { readonly path: Buffer; readonly type: CpioType },
  header: CpioHeader,
): Buffer | undefined {
  if (entry.type !== 'f' || header.linkCount < 2) return undefined
  const key = [header.inode, ...header.dev].join(':')
  const first = links.get(key)
  if (first === undefined) links.set(key, entry.path)
  return first
}

async function readTarget(reader: ByteReader, header: CpioHeader, path: Buffer, archive: string): Promise<Buffer> {
  if (header.sizeBytes === 0 || header.sizeBytes >= MAX_CPIO_NAME_BYTES) {
    throw hostile(archive, path, `its target has ${header.sizeBytes} bytes`)
  }
  return Buffer.from(await reader.read(header.sizeBytes, 'a link target', 'ARCHIVE_HOSTILE'))
}

async function* checked(
  chunks: AsyncIterable<Buffer>,
  header: CpioHeader,
  path: Buffer,
  archive: string,
): AsyncGenerator<Buffer> {
  let sum = 0
  for await (const chunk of chunks) {
    if (header.checksum !== undefined) for (const byte of chunk) sum = (sum + byte) >>> 0
    yield chunk
  }
  if (header.checksum !== undefined && sum !== header.checksum) {
    throw new AslError('FORMAT_INVALID', `${archive}: the checksum of member "${shownBytes(path)}" is wrong`)
  }
}

/** The first byte that is not zero, or `undefined` at the end. */
async function skipZeros(reader: ByteReader): Promise<Buffer | undefined> {
  for (;;) {
    const byte = await reader.tryRead(1)
    if (byte === undefined || byte[0] !== 0) return byte
  }
}

const SLASH = Buffer.from('/')
