import type { Reference, TreeEntry } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import type { PackageIdentity } from './archive.ts'
import { type BytePath, bytePathOf, folderOf, joinPath, nameOf, normalizeBytePath } from './byte-path.ts'
import { mergedPath } from './merged-usr.ts'
import type { TreeReader } from './tree-reader.ts'

/** What dpkg's own records in a tree say: which package lists a path, and which packages are installed. */
export interface DpkgDatabase {
  /** Packages whose list names the path, by name. */
  ownersOf(path: BytePath): readonly PackageIdentity[]
  readonly packages: ReadonlyMap<string, PackageIdentity>
}

const INFO = bytePathOf('/var/lib/dpkg/info')
const STATUS = bytePathOf('/var/lib/dpkg/status')
/** The largest known status file of a full archive mirror is below 60 MB. */
const MAX_FILE_BYTES = 256 * 1024 * 1024

/** An empty database for a tree without dpkg. @throws AslError STORE_NOT_FOUND when a listed file is not in the store */
export function readDpkgDatabase(store: StoreReader, trees: TreeReader, tree: Reference): DpkgDatabase {
  const packages = readStatus(store, trees, tree)
  const owners = new Map<BytePath, string[]>()
  const info = trees.tryEntry(tree, INFO)
  for (const entry of info?.type === 'd' ? trees.entriesOf(tree, INFO) : []) {
    const label = packageOfList(entry)
    const ref = trees.contentOf(tree, entry)
    if (label === undefined || ref === undefined || !store.has(ref)) continue
    for (const line of store.read(ref, MAX_FILE_BYTES).toString('latin1').split('\n')) {
      if (line === '' || line === '/.') continue
      const path = mergedPath(normalizeBytePath(line))
      const list = owners.get(path)
      if (list === undefined) owners.set(path, [label])
      else list.push(label)
    }
  }
  return {
    packages,
    ownersOf: path =>
      (owners.get(mergedPath(path)) ?? []).map(
        label => packages.get(label) ?? { name: label.split(':')[0] ?? label, version: '', architecture: '' },
      ),
  }
}

/** `libc6:amd64.list` and `base-files.list` name a package; the part before `.list` is its key. */
function packageOfList(entry: TreeEntry): string | undefined {
  const name = entry.name.toString('latin1')
  return entry.type === 'f' && name.endsWith('.list') ? name.slice(0, -'.list'.length) : undefined
}

/** Keyed by both `name` and `name:architecture`, since lists of co-installable packages carry the architecture. */
function readStatus(store: StoreReader, trees: TreeReader, tree: Reference): ReadonlyMap<string, PackageIdentity> {
  const packages = new Map<string, PackageIdentity>()
  const entry = trees.tryEntry(tree, STATUS)
  const ref = entry && trees.contentOf(tree, entry)
  if (ref === undefined || !store.has(ref)) return packages
  for (const stanza of store.read(ref, MAX_FILE_BYTES).toString('utf8').split(/\n\n+/)) {
    const name = fieldOf(stanza, 'Package')
    if (name === undefined) continue
    const architecture = fieldOf(stanza, 'Architecture') ?? ''
    const identity = { name, version: fieldOf(stanza, 'Version') ?? '', architecture }
    if (!packages.has(name)) packages.set(name, identity)
    packages.set(`${name}:${architecture}`, identity)
  }
  return packages
}

/** One single-line field of a stanza (deb822(5)). */
function fieldOf(stanza: string, field: string): string | undefined {
  const start = stanza.startsWith(`${field}:`) ? 0 : stanza.indexOf(`\n${field}:`) + 1
  if (start === 0 && !stanza.startsWith(`${field}:`)) return undefined
  const end = stanza.indexOf('\n', start)
  return stanza.slice(start + field.length + 1, end < 0 ? undefined : end).trim()
}

/** Where dpkg puts a member of a package's control archive; two spellings, since some packages carry the architecture. */
export function controlPaths(identity: PackageIdentity, member: BytePath): readonly BytePath[] {
  const file = nameOf(member)
  return [`${identity.name}.${file}`, `${identity.name}:${identity.architecture}.${file}`].map(name =>
    joinPath(INFO, name),
  )
}

/** The package that a file of dpkg's info folder is about, by its name. */
export function packageOfInfo(path: BytePath): readonly string[] {
  return folderOf(path) === INFO
    ? [
        nameOf(path)
          .replace(/\.[^.]*$/, '')
          .replace(/:.*$/, ''),
      ]
    : []
}
