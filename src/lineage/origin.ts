import type { Reference, TreeEntry } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import type { ArchiveReaders, PackageIdentity } from './archive.ts'
import { type BytePath, nameOf, normalizeBytePath } from './byte-path.ts'
import { controlPaths, packageOfInfo, readDpkgDatabase } from './dpkg-database.ts'
import type { Graph, GraphStep } from './graph.ts'
import { mergedPath } from './merged-usr.ts'
import {
  type ContentKey,
  contentKey,
  type NamedInput,
  pathsByContent,
  type SourceMember,
  type SourceTree,
  type StepSources,
  stepSources,
} from './step-sources.ts'
import { historyOf, type TreeStep } from './tree-history.ts'
import type { TreeReader } from './tree-reader.ts'

/** Where one path of a tree got its content. */
export interface Origin {
  /** Steps that changed owner, mode, times or attributes later, and left the content alone; last one first. */
  readonly retouched: readonly Retouch[]
  /** The last step whose output holds this content at this path while its input does not. */
  readonly introduced: TreeStep | undefined
  readonly source: Source
}

export interface Retouch {
  readonly step: GraphStep
  readonly fields: readonly ('mode' | 'owner' | 'mtime' | 'xattrs' | 'links')[]
}

export type Source =
  /** Byte for byte a member of a package or archive that the step had as input. */
  | { readonly kind: 'member'; readonly found: SourceMember; readonly isSamePath: boolean; readonly isListed: boolean }
  /** Byte for byte a file that the step had as input. */
  | { readonly kind: 'input'; readonly input: NamedInput }
  /** Byte for byte a file of another tree, or of the tree before at another path: ask there again. */
  | { readonly kind: 'tree'; readonly from: SourceTree | 'before'; readonly tree: Reference; readonly path: BytePath }
  /** Written by the command itself, or by a program it started. */
  | { readonly kind: 'made'; readonly owners: readonly PackageIdentity[]; readonly isFolder?: boolean }
  /** No receipt names the tree that holds it. */
  | { readonly kind: 'unknown' }

export interface OriginFinder {
  /** @throws AslError STORE_NOT_FOUND, STORE_INTEGRITY when a tree on the way cannot be read */
  find(tree: Reference, path: BytePath, entry: TreeEntry, lastStep?: Reference): Promise<Origin>
  /** Archives and trees that could not be read, so that what came from them shows as made by the step. */
  findings(): readonly string[]
}

/** Trees that were copied out of trees that were copied: deeper than any real build. */
const MAX_DEPTH = 16

/** Below this many bytes equal content says nothing unless the path agrees too: empty files, "1\n". */
const TELLING_SIZE_BYTES = 16

export function originFinder(
  store: StoreReader,
  graph: Graph,
  trees: TreeReader,
  readers: ArchiveReaders,
): OriginFinder {
  const histories = memo((tree: Reference) => historyOf(graph, tree))
  const databases = memo((tree: Reference) => readDpkgDatabase(store, trees, tree))
  const places = memo((tree: Reference) => pathsByContent(trees, tree))
  const sources = new Map<string, StepSources>()
  const sourcesOf = (made: TreeStep): StepSources => {
    const key = `${made.step.ref} ${made.before}`
    const known = sources.get(key) ?? stepSources(store, made, readers)
    sources.set(key, known)
    return known
  }
  /** What a step wrote in the tree it runs in, and writes again elsewhere, was not copied: `/var/lib/dpkg/…`. */
  const isWrittenThere = async (source: Source, depth = 0): Promise<boolean> => {
    if (source.kind !== 'tree') return source.kind === 'made'
    const entry = trees.tryEntry(source.tree, source.path)
    if (entry === undefined || depth === MAX_DEPTH) return false
    return isWrittenThere((await find(source.tree, source.path, entry)).source, depth + 1)
  }
  const find: OriginFinder['find'] = async (tree, path, entry, lastStep) => {
    const history = lastStep === undefined ? histories(tree) : historyOf(graph, tree, lastStep)
    const { introduced, retouched } = findIntroduction(trees, history, path, entry)
    if (introduced === undefined) return { introduced, retouched, source: { kind: 'unknown' } }
    const read = sourcesOf(introduced)
    const owners = databases(introduced.after).ownersOf(path)
    if (entry.type === 'd') return { introduced, retouched, source: { kind: 'made', owners, isFolder: true } }
    const key = contentKey(trees, tree, entry)
    const likely = [...owners.map(owner => owner.name), ...packageOfInfo(path)]
    const wanted = { path, entry, owners, members: await read.membersWith(key, likely), key }
    const made: Source = { kind: 'made', owners }
    const source =
      fromSources(read, wanted, trees) ??
      fromTreeBefore(introduced, wanted, places) ??
      fromElsewhere(read, wanted, places) ??
      made
    const isFromRoot = source.kind === 'tree' && source.from !== 'before' && source.from.kind === 'root'
    return { introduced, retouched, source: isFromRoot && (await isWrittenThere(source)) ? made : source }
  }
  return {
    find,
    findings: () => [...new Set([...sources.values()].flatMap(read => read.findings))].sort(),
  }
}

interface Wanted {
  readonly path: BytePath
  readonly entry: TreeEntry
  readonly key: ContentKey
  /** Packages whose list names the path. */
  readonly owners: readonly PackageIdentity[]
  /** Members of the step's archives with the same content. */
  readonly members: readonly SourceMember[]
}

function findIntroduction(
  trees: TreeReader,
  history: readonly TreeStep[],
  path: BytePath,
  entry: TreeEntry,
): Pick<Origin, 'introduced' | 'retouched'> {
  const retouched: Retouch[] = []
  let current = entry
  for (const made of history) {
    const previous = made.before === undefined ? undefined : trees.tryEntry(made.before, path)
    if (made.before === undefined || previous === undefined) return { introduced: made, retouched }
    if (contentKey(trees, made.after, current) !== contentKey(trees, made.before, previous)) {
      return { introduced: made, retouched }
    }
    const fields = changedFields(current, previous)
    if (fields.length > 0) retouched.push({ step: made.step, fields })
    current = previous
  }
  return { introduced: undefined, retouched }
}

export function changedFields(a: TreeEntry, b: TreeEntry): Retouch['fields'] {
  const changed: Retouch['fields'][number][] = []
  if (a.mode !== b.mode) changed.push('mode')
  if ((a.uid ?? 0) !== (b.uid ?? 0) || (a.gid ?? 0) !== (b.gid ?? 0)) changed.push('owner')
  if (a.mtime !== b.mtime) changed.push('mtime')
  if (!isSameXattrs(a.xattrs ?? [], b.xattrs ?? [])) changed.push('xattrs')
  if ((a.linkTo?.toString('latin1') ?? '') !== (b.linkTo?.toString('latin1') ?? '')) changed.push('links')
  return changed
}

type Xattrs = NonNullable<TreeEntry['xattrs']>

function isSameXattrs(a: Xattrs, b: Xattrs): boolean {
  return (
    a.length === b.length &&
    a.every(([name, value], i) => b[i]?.[0].equals(name) === true && b[i]?.[1].equals(value) === true)
  )
}

/** The same content where the path agrees as well. */
function fromSources(sources: StepSources, wanted: Wanted, trees: TreeReader): Source | undefined {
  const member = bestMember(wanted, true)
  if (member !== undefined) return member
  for (const from of sources.trees) {
    for (const path of [wanted.path, unmergedPath(wanted.path)]) {
      const entry = path === undefined ? undefined : trees.tryEntry(from.tree, path)
      if (path === undefined || entry === undefined) continue
      if (contentKey(trees, from.tree, entry) === wanted.key) return { kind: 'tree', from, tree: from.tree, path }
    }
  }
  const input = sources.filesWith(wanted.key)[0]
  return input === undefined ? undefined : { kind: 'input', input }
}

function fromTreeBefore(
  made: TreeStep,
  wanted: Wanted,
  places: (tree: Reference) => ReadonlyMap<ContentKey, readonly BytePath[]>,
): Source | undefined {
  if (made.before === undefined || !isTelling(wanted.entry)) return undefined
  const path = likeliest(places(made.before).get(wanted.key), wanted.path)
  return path === undefined ? undefined : { kind: 'tree', from: 'before', tree: made.before, path }
}

/** The same content at another path: a default configuration that a maintainer script copied, a tool that was added. */
function fromElsewhere(
  sources: StepSources,
  wanted: Wanted,
  places: (tree: Reference) => ReadonlyMap<ContentKey, readonly BytePath[]>,
): Source | undefined {
  if (!isTelling(wanted.entry)) return undefined
  const member = bestMember(wanted, false)
  if (member !== undefined) return member
  for (const from of sources.trees) {
    const path = likeliest(places(from.tree).get(wanted.key), wanted.path)
    if (path !== undefined) return { kind: 'tree', from, tree: from.tree, path }
  }
  return undefined
}

function bestMember(wanted: Wanted, wantsSamePath: boolean): Source | undefined {
  const owners = new Set(wanted.owners.map(owner => owner.name))
  const candidates = wanted.members
    .map(found => ({
      found,
      isSamePath: isInstalledAt(found, wanted.path),
      isListed: found.archive.package !== undefined && owners.has(found.archive.package.name),
      isSameName: nameOf(found.member.path) === nameOf(wanted.path),
    }))
    .filter(candidate => !wantsSamePath || candidate.isSamePath)
    .sort((a, b) => rank(b) - rank(a) || (a.found.input.name < b.found.input.name ? -1 : 1))
  const best = candidates[0]
  return best && { kind: 'member', found: best.found, isSamePath: best.isSamePath, isListed: best.isListed }
}

function rank(candidate: { isSamePath: boolean; isListed: boolean; isSameName: boolean }): number {
  return (candidate.isSamePath ? 4 : 0) + (candidate.isListed ? 2 : 0) + (candidate.isSameName ? 1 : 0)
}

function isInstalledAt({ archive, member }: SourceMember, path: BytePath): boolean {
  if (member.part === 'data') return mergedPath(member.path) === mergedPath(path)
  return archive.package !== undefined && controlPaths(archive.package, member.path).includes(path)
}

function likeliest(paths: readonly BytePath[] | undefined, wanted: BytePath): BytePath | undefined {
  return paths?.find(path => nameOf(path) === nameOf(wanted)) ?? paths?.[0]
}

function isTelling(entry: TreeEntry): boolean {
  return entry.type === 'f' && (entry.size === undefined || entry.size >= TELLING_SIZE_BYTES)
}

/** `/usr/bin/x` may come from an overlay that still says `/bin/x`. */
function unmergedPath(path: BytePath): BytePath | undefined {
  const old = path.startsWith('/usr/') ? normalizeBytePath(path.slice('/usr'.length)) : undefined
  return old !== undefined && mergedPath(old) === path ? old : undefined
}

function memo<K, V>(compute: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>()
  return key => {
    const found = known.get(key)
    if (found !== undefined) return found
    const value = compute(key)
    known.set(key, value)
    return value
  }
}
