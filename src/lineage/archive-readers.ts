import { AslError, artifactHasher, type Reference, referenceOf } from '../core/mod.ts'
import {
  type ByteStream,
  compressionOf,
  decompress,
  openDeb,
  parseArchivePath,
  readParagraphs,
  readTar,
  requireField,
  type TarEntry,
} from '../formats/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import type { Archive, ArchiveMember, ArchiveReaders, IndexedPackage, NamedArtifact } from './archive.ts'
import { type BytePath, normalizeBytePath } from './byte-path.ts'
import { verifyRelease } from './release-signature.ts'

/** Reads Debian packages, tarballs and package lists out of a store. */
export function archiveReaders(store: StoreReader): ArchiveReaders {
  return {
    async openArchive(input) {
      const stat = store.tryStat(input.ref)
      if (stat === undefined || stat.typeTag !== undefined) return undefined
      if (isDeb(store, input.ref, stat.sizeBytes)) return readDeb(store, input)
      const tarball = TARBALL.exec(input.name)
      return tarball === null ? undefined : { members: await readTarball(store, input, tarball[1] ?? tarball[2]) }
    },
    packagesIndex: input => readPackagesIndex(store, input),
    verifyRelease,
  }
}

const TARBALL = /\.(?:tar(?:\.(gz|xz|zst))?|t(gz|xz|zst))$/
/** An ar archive whose first member is `debian-binary` (deb(5)). */
const DEB_START = Buffer.from('!<arch>\ndebian-binary')

function isDeb(store: StoreReader, ref: Reference, sizeBytes: number): boolean {
  return sizeBytes > DEB_START.length && store.readRange(ref, 0, DEB_START.length).equals(DEB_START)
}

async function readDeb(store: StoreReader, input: NamedArtifact): Promise<Archive> {
  const deb = await openDeb(store.chunks(input.ref), input.name)
  const field = (name: string): string => requireField(deb.control, name, `${input.name}: control`)
  const identity = { name: field('package'), version: field('version'), architecture: field('architecture') }
  const control = [...deb.controlFiles].map(
    ([name, file]): ArchiveMember => ({
      part: 'control',
      path: normalizeBytePath(Buffer.from(name).toString('latin1')),
      ref: referenceOf(file.content),
    }),
  )
  return { package: identity, members: [...control, ...(await readMembers(deb.entries(), input.name))] }
}

async function readTarball(
  store: StoreReader,
  input: NamedArtifact,
  compression: string | undefined,
): Promise<readonly ArchiveMember[]> {
  const stream = decompress(compressionOf(`tar.${compression ?? 'tar'}`) ?? 'none', store.chunks(input.ref), input.name)
  return readMembers(readTar(stream, input.name), input.name)
}

/** A package with more members than this would be the first; it bounds what a hostile one can make us keep. */
const MAX_MEMBERS = 2_000_000

async function readMembers(entries: AsyncIterable<TarEntry>, archive: string): Promise<readonly ArchiveMember[]> {
  const members: ArchiveMember[] = []
  const files = new Map<BytePath, Reference>()
  for await (const entry of entries) {
    if (members.length === MAX_MEMBERS)
      throw new AslError('LIMIT_EXCEEDED', `${archive} has over ${MAX_MEMBERS} members`)
    const path = memberPath(entry.path, archive)
    if (entry.type === 'f') {
      const ref = await hashContent(entry)
      files.set(path, ref)
      members.push({ part: 'data', path, ref })
    } else if (entry.type === 'h' && entry.linkPath !== undefined) {
      const ref = files.get(memberPath(entry.linkPath, archive))
      if (ref !== undefined) members.push({ part: 'data', path, ref })
    } else if (entry.type === 'l' && entry.linkPath !== undefined) {
      members.push({ part: 'data', path, target: entry.linkPath.toString('latin1') })
    }
  }
  return members
}

async function hashContent(entry: TarEntry): Promise<Reference> {
  const hasher = artifactHasher(entry.sizeBytes)
  for await (const chunk of entry.content) hasher.update(chunk)
  return hasher.reference()
}

function memberPath(path: Buffer, archive: string): BytePath {
  return normalizeBytePath(
    parseArchivePath(path, archive)
      .map(name => name.toString('latin1'))
      .join('/'),
  )
}

const INDEX_FIELDS: ReadonlySet<string> = new Set(['package', 'version', 'architecture', 'filename', 'sha256'])

async function* readPackagesIndex(store: StoreReader, input: NamedArtifact): AsyncGenerator<IndexedPackage> {
  const paragraphs = readParagraphs(uncompressed(store, input), input.name, { fields: INDEX_FIELDS })
  for await (const paragraph of paragraphs) {
    const field = (name: string): string => requireField(paragraph, name, input.name)
    yield {
      name: field('package'),
      version: field('version'),
      architecture: field('architecture'),
      filename: field('filename'),
      sha256: field('sha256'),
    }
  }
}

const MAGICS = [
  ['xz', Buffer.from('fd377a585a00', 'hex')],
  ['gz', Buffer.from('1f8b', 'hex')],
  ['zst', Buffer.from('28b52ffd', 'hex')],
] as const

/** A by-hash URL has no extension, so the first bytes decide. */
function uncompressed(store: StoreReader, input: NamedArtifact): ByteStream {
  const sizeBytes = store.tryStat(input.ref)?.sizeBytes ?? 0
  const start = store.readRange(input.ref, 0, Math.min(sizeBytes, 6))
  const found = MAGICS.find(([, magic]) => start.subarray(0, magic.length).equals(magic))
  return decompress(found?.[0] ?? 'none', store.chunks(input.ref), input.name)
}
