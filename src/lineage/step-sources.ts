import { AslError, entryRef, messageOf, type Reference, type TreeEntry } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import type { Archive, ArchiveMember, ArchiveReaders } from './archive.ts'
import type { BytePath } from './byte-path.ts'
import type { GraphInput, GraphStep } from './graph.ts'
import type { TreeStep } from './tree-history.ts'
import type { TreeReader } from './tree-reader.ts'

/** What a step could have taken a file from, indexed by content: the members of its archives, its files, its trees. */
export interface StepSources {
  /**
   * Members of the step's archives with this content. Archives of the packages named are opened first, and the others
   * only when those do not have it: one question then opens one package and not a hundred.
   */
  membersWith(key: ContentKey, likelyPackages: readonly string[]): Promise<readonly SourceMember[]>
  filesWith(key: ContentKey): readonly NamedInput[]
  /** Input trees other than the one that the step changed, overlays first, then the tree it ran in. */
  readonly trees: readonly SourceTree[]
  /** What could not be read, with the reason. */
  readonly findings: readonly string[]
}

export type NamedInput = GraphInput & { readonly name: string }

export interface SourceMember {
  readonly input: NamedInput
  readonly archive: Archive
  readonly member: ArchiveMember
}

export interface SourceTree {
  readonly kind: 'overlay' | 'input' | 'root'
  /** Name of the input; of the tree that the step ran in `root`. */
  readonly name: string
  readonly tree: Reference
}

/** What makes two entries the same: content of a file, target of a link, numbers of a device. */
export type ContentKey = string & { readonly __brand: 'ContentKey' }

export function fileKey(ref: Reference): ContentKey {
  return ref as string as ContentKey
}

export function contentKey(trees: TreeReader, tree: Reference, entry: TreeEntry): ContentKey {
  const key = ((): string => {
    switch (entry.type) {
      case 'f':
        return trees.contentOf(tree, entry) ?? 'lost hard link'
      case 'l':
        return linkKey(entry.target?.toString('latin1') ?? '')
      case 'd':
        return 'd'
      case 'c':
      case 'b':
        return `${entry.type} ${entry.rdev?.join(',')}`
      case 'p':
      case 's':
        return entry.type
    }
  })()
  return key as ContentKey
}

function linkKey(target: string): string {
  return `-> ${target}`
}

/** Inputs that can hold an archive; trees and receipts cannot. */
const ARCHIVE_ROLES: ReadonlySet<string> = new Set(['download', 'package', 'file', 'binary'])

export function stepSources(store: StoreReader, made: TreeStep, readers: ArchiveReaders): StepSources {
  const inputs = made.step.inputs.filter(isNamed)
  const files = new Map<ContentKey, NamedInput[]>()
  for (const input of inputs.filter(isFile)) append(files, fileKey(input.ref), input)
  const findings: string[] = []
  const trees = treesOf(made.step, made.before)
  for (const { name, tree } of trees) {
    if (!store.has(tree)) findings.push(`tree ${name} ${tree}: not in ${store.location}`)
  }
  const members = new Map<ContentKey, SourceMember[]>()
  const closed = new Set(inputs.filter(input => isFile(input) && ARCHIVE_ROLES.has(input.role ?? '')))
  const open = async (input: NamedInput): Promise<void> => {
    if (!closed.delete(input)) return
    const archive = await openOrFind(readers, input, findings)
    for (const member of archive?.members ?? []) {
      const key = member.ref ?? (member.target === undefined ? undefined : linkKey(member.target))
      if (archive !== undefined && key !== undefined) append(members, key as ContentKey, { input, archive, member })
    }
  }
  return {
    async membersWith(key, likelyPackages) {
      const likely = [...closed].filter(input => likelyPackages.some(name => isPackageFile(input.name, name)))
      for (const input of likely) await open(input)
      const found = (members.get(key) ?? []).filter(
        ({ archive }) => archive.package !== undefined && likelyPackages.includes(archive.package.name),
      )
      if (found.length > 0) return found
      for (const input of [...closed]) await open(input)
      return members.get(key) ?? []
    },
    filesWith: key => files.get(key) ?? [],
    trees: trees.filter(({ tree }) => store.has(tree)),
    findings,
  }
}

function isFile({ role }: GraphInput): boolean {
  return role !== 'tree' && role !== 'overlay' && role !== 'receipt'
}

/** `…/openssl_3.5.7-1_amd64.deb` is a file of package `openssl`. */
function isPackageFile(name: string, packageName: string): boolean {
  return name.slice(name.lastIndexOf('/') + 1).startsWith(`${packageName}_`)
}

async function openOrFind(
  readers: ArchiveReaders,
  input: NamedInput,
  findings: string[],
): Promise<Archive | undefined> {
  try {
    return await readers.openArchive(input)
  } catch (error) {
    if (!(error instanceof AslError) || error.code === 'STORE_IO') throw error
    findings.push(`${input.name}: ${messageOf(error)}`)
    return undefined
  }
}

function treesOf(step: GraphStep, before: Reference | undefined): readonly SourceTree[] {
  const inputs = step.inputs.filter(isNamed)
  const named = (kind: SourceTree['kind'], role: string): SourceTree[] =>
    inputs
      .filter(input => input.role === role && input.ref !== before)
      .map(input => ({ kind, name: input.name, tree: input.ref }))
  const root = step.details?.environment.rootRef
  const ranIn: SourceTree[] = root === undefined || root === before ? [] : [{ kind: 'root', name: 'root', tree: root }]
  return [...named('overlay', 'overlay'), ...named('input', 'tree'), ...ranIn]
}

/** Where each content of a tree lies: to find what a step copied from one place to another. */
export function pathsByContent(trees: TreeReader, tree: Reference): ReadonlyMap<ContentKey, readonly BytePath[]> {
  const paths = new Map<ContentKey, BytePath[]>()
  for (const { path, entry } of trees.walk(tree)) {
    if (entry.type === 'f' && entry.linkTo === undefined) append(paths, fileKey(entryRef(entry)), path)
  }
  return paths
}

export function isNamed(input: GraphInput): input is NamedInput {
  return input.name !== undefined
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
