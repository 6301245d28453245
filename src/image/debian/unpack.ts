import { AslError, type Reference } from '../../core/mod.ts'
import {
  type Deb,
  hostile,
  openDeb,
  parseArchivePath,
  parseRelations,
  requireField,
  satisfiesVersion,
  shownBytes,
  type TarEntry,
} from '../../formats/mod.ts'
import type { StoreReader, StoreWriter } from '../../store/mod.ts'
import { conffilePaths, dpkgDatabase, infoNameOf, md5Hasher, type UnpackedPackage } from './dpkg-database.ts'
import { putStream } from './put-stream.ts'
import { putTree } from './tree-nodes.ts'
import { type StoredContent, type UnpackTree, unpackTree } from './unpack-tree.ts'

/** The name of this operation in receipts (reference §8.4). A change of what it writes is a new name. */
export const UNPACK_DEBS = 'op:unpack-debs'

/** A `.deb` in the store. */
export interface DebInput {
  /** For messages: the name of the file. */
  readonly name: string
  /** The package it is said to be; decides the order. */
  readonly package: string
  readonly reference: Reference
}

export interface UnpackOptions {
  readonly store: StoreReader
  readonly writer: StoreWriter
  readonly scratchFolder: string
  readonly signal?: AbortSignal
  readonly onUnpacked?: (name: string, done: number, total: number) => void
}

/**
 * Unpacks packages into one tree, without running any of their scripts, and writes the database of dpkg, so that the
 * programs in the tree know what is there. Nothing is written but to the store; owners, modes, links and times are
 * those of the archives. The same packages give the same tree on every machine, in whatever order they are given.
 * @throws AslError ARCHIVE_HOSTILE, FORMAT_INVALID, PACKAGE_CONFLICT
 */
export async function unpackDebs(debs: readonly DebInput[], options: UnpackOptions): Promise<Reference> {
  const tree = unpackTree()
  const unpacked: Unpacked[] = []
  for (const [position, input] of inOrder(debs).entries()) {
    if (options.signal?.aborted === true) throw new AslError('INTERRUPTED', `Stopped before ${input.name} was unpacked`)
    unpacked.push(await unpackOne(tree, input, unpacked, options))
    options.onUnpacked?.(input.name, position + 1, debs.length)
  }
  completeTree(tree, unpacked, options.writer)
  return putTree(options.writer, tree.top)
}

type Unpacked = UnpackedPackage & { readonly replaces: (name: string, version: string) => boolean }

/** base-files first: it brings the top folders and the links of merged /usr that the paths of the others go through. */
function inOrder(debs: readonly DebInput[]): DebInput[] {
  const rank = (deb: DebInput): number => (deb.package === 'base-files' ? 0 : 1)
  const sorted = debs.toSorted((a, b) => rank(a) - rank(b) || (a.package < b.package ? -1 : 1))
  for (const [i, deb] of sorted.entries()) {
    if (i > 0 && sorted[i - 1]?.package === deb.package) {
      throw new AslError('PACKAGE_CONFLICT', `Package ${deb.package} is to be unpacked twice: ${deb.name}`)
    }
  }
  return sorted
}

async function unpackOne(
  tree: UnpackTree,
  input: DebInput,
  earlier: readonly Unpacked[],
  options: UnpackOptions,
): Promise<Unpacked> {
  const deb = await openDeb(options.store.chunks(input.reference), input.name)
  const name = requireField(deb.control, 'package', input.name)
  const version = requireField(deb.control, 'version', input.name)
  if (name !== input.package) {
    await deb.close()
    throw new AslError('FORMAT_INVALID', `${input.name} holds package "${name}", not "${input.package}"`)
  }
  const replaces = replacesOf(deb, name)
  const versions = new Map(earlier.map(other => [other.name, other]))
  const from = {
    name,
    archive: input.name,
    replaces: (other: string) => replaces(other, versions.get(other)?.version ?? ''),
    isReplacedBy: (other: string) => versions.get(other)?.replaces(name, version) === true,
  }
  const conffiles = conffilePaths(deb)
  const digests = new Map<string, string>()
  const paths: Buffer[] = []
  for await (const entry of deb.entries()) {
    const path = installedPath(entry, input.name)
    paths.push(path)
    const isConffile = conffiles.has(path.toString('latin1'))
    const md5 = isConffile ? md5Hasher() : undefined
    const content = entry.type === 'f' ? await putContent(entry, md5, input.name, options) : undefined
    if (md5 !== undefined) digests.set(path.toString('latin1'), md5.digest())
    tree.add(entry, content, from)
  }
  return {
    name,
    version,
    architecture: requireField(deb.control, 'architecture', input.name),
    infoName: infoNameOf(deb, input.name),
    control: deb.controlFiles.get('control')?.content ?? Buffer.alloc(0),
    controlFiles: deb.controlFiles,
    paths,
    conffiles: digests,
    replaces,
  }
}

function replacesOf(deb: Deb, name: string): (other: string, version: string) => boolean {
  const relations = parseRelations(deb.control.get('replaces') ?? '', `Replaces of ${name}`).flat()
  return (other, version) =>
    relations.some(
      ({ name: replaced, constraint }) =>
        replaced === other &&
        (constraint === undefined || satisfiesVersion(version, constraint.operator, constraint.version)),
    )
}

/** As the lists of dpkg have it: `./usr/bin/` is `/usr/bin`, `./` is `/.`. */
function installedPath(entry: TarEntry, archive: string): Buffer {
  const names = parseArchivePath(entry.path, archive)
  if (names.length === 0) return Buffer.from('/.')
  // dpkg refuses it too: its lists have a path a line.
  if (entry.path.includes(0x0a)) throw hostile(archive, entry.path, 'its name contains a line feed')
  return Buffer.concat(names.flatMap(name => [SLASH, name]))
}

const SLASH = Buffer.from('/')

async function putContent(
  entry: TarEntry,
  md5: { update(bytes: Uint8Array): void } | undefined,
  archive: string,
  options: UnpackOptions,
): Promise<StoredContent> {
  async function* passing(): AsyncGenerator<Buffer> {
    for await (const piece of entry.content) {
      md5?.update(piece)
      yield piece
    }
  }
  return putStream(() => options.writer, md5 === undefined ? entry.content : passing(), {
    scratchFolder: options.scratchFolder,
    maxBytes: entry.sizeBytes,
    name: `${archive}: ${shownBytes(entry.path)}`,
  })
}

/**
 * What maintainer scripts would have made, as far as the programs of a tools tree need it: users and groups (from the
 * masters of base-passwd), `awk`, the folders that a sandbox mounts on. No `ld.so.cache`: the dynamic linker looks
 * into its own multiarch folders without one.
 */
function completeTree(tree: UnpackTree, unpacked: readonly Unpacked[], writer: StoreWriter): void {
  for (const [path, mode] of MOUNT_POINTS) if (tree.tryFind(path) === undefined) tree.addFolder(path, mode)
  for (const name of ['passwd', 'group']) {
    const master = tree.tryFind(`/usr/share/base-passwd/${name}.master`)
    if (master?.type === 'f' && tree.tryFind(`/etc/${name}`) === undefined) tree.addFile(`/etc/${name}`, master, 0o644)
  }
  if (tree.tryFind('/usr/bin/awk') === undefined && tree.tryFind('/usr/bin/mawk') !== undefined) {
    tree.addLink('/usr/bin/awk', 'mawk')
  }
  for (const { path, mode, content } of dpkgDatabase(unpacked)) {
    tree.addFile(path, { reference: writer.put(content), sizeBytes: content.length }, mode)
  }
  for (const folder of DPKG_FOLDERS) if (tree.tryFind(folder) === undefined) tree.addFolder(folder, 0o755)
}

const MOUNT_POINTS: readonly (readonly [path: string, mode: number])[] = [
  ['/dev', 0o755],
  ['/proc', 0o555],
  ['/sys', 0o555],
  ['/run', 0o755],
  ['/tmp', 0o1777],
  ['/var/tmp', 0o1777],
]

const DPKG_FOLDERS = [
  '/var/lib/dpkg/alternatives',
  '/var/lib/dpkg/parts',
  '/var/lib/dpkg/triggers',
  '/var/lib/dpkg/updates',
]
