import { isAslError, type Reference, type Sha256 } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import type { ArchiveReaders } from './archive.ts'
import { cachedArchives } from './archive-cache.ts'
import { type BytePath, isUtf8Path, showBytes, showPath } from './byte-path.ts'
import { buildGraph, type Graph } from './graph.ts'
import { originFinder } from './origin.ts'
import { plainDigests } from './plain-digests.ts'
import { releaseChains } from './release-chain.ts'
import { runViews } from './run-view.ts'
import { type ResolvedPath, type TreeReader, treeReader } from './tree-reader.ts'
import { copyLink, isOutside, sourceLinks, stepLinks, subjectLinks, unknownLink } from './whence-describe.ts'
import type { Whence, WhenceFile, WhenceLink } from './whence-link.ts'

/** What is asked about: a root tree, and what is known of the image around it. */
export interface WhenceSubject {
  readonly tree: Reference
  /** Receipt of the step that made the tree, where the image names it. */
  readonly receiptRef?: Reference
  readonly image?: { readonly name: string; readonly sha256?: Sha256 }
}

export interface WhenceAsker {
  /** @throws AslError PATH_NOT_FOUND; TREE_INVALID for a circle of links; STORE_NOT_FOUND, STORE_INTEGRITY */
  whence(path: BytePath): Promise<Whence>
  /** Every regular file of the tree with its chain, folder by folder; without the digests of the files themselves. */
  whenceAll(): AsyncIterable<Whence>
  /** What could not be read on the way; a chain that needed it says so too. */
  findings(): readonly string[]
}

/** A copy of a copy of a copy: deeper than any real build, so that a hostile history ends. */
const MAX_COPIES = 16

export function whenceAsker(
  store: StoreReader,
  subject: WhenceSubject,
  given: ArchiveReaders,
  graph: Graph = buildGraph(store),
): WhenceAsker {
  const readers = cachedArchives(given)
  const trees = treeReader(store)
  const digestOf = plainDigests(store)
  const origins = originFinder(store, graph, trees, readers)
  const releases = releaseChains(store, graph, trees, readers, digestOf)
  const world = { store, graph, releases, digestOf, runsOf: runViews(store, graph) }

  const chainOf = async ({ path, entry }: ResolvedPath): Promise<readonly WhenceLink[]> => {
    const links = [...subjectLinks(subject, path)]
    let at = { tree: subject.tree, path, entry }
    for (let copies = 0; copies < MAX_COPIES; copies++) {
      const origin = await origins.find(at.tree, at.path, at.entry, copies === 0 ? subject.receiptRef : undefined)
      const { source } = origin
      links.push(...stepLinks(world, origin))
      if (source.kind !== 'tree') return [...links, ...(await sourceLinks(world, source, origin.introduced?.step))]
      links.push(copyLink(source))
      if (source.from !== 'before' && isOutside(graph, source.tree)) return links
      const next = trees.tryEntry(source.tree, source.path)
      if (next === undefined) throw new Error(`the source ${showPath(source.path)} in ${source.tree} is gone`)
      at = { tree: source.tree, path: source.path, entry: next }
    }
    return [...links, unknownLink(`the content was copied more than ${MAX_COPIES} times`)]
  }

  const answer = async (asked: BytePath, file: ResolvedPath, wantsDigest: boolean): Promise<Whence> => {
    const links = await chainOf(file)
    return {
      path: showPath(asked),
      ...(isUtf8Path(asked) ? {} : { pathHex: Buffer.from(asked, 'latin1').toString('hex') }),
      file: fileView(file, wantsDigest),
      links,
      isComplete: links.every(link => link.kind !== 'unknown'),
    }
  }

  const fileView = ({ path, entry, links }: ResolvedPath, wantsDigest: boolean): WhenceFile => {
    const ref = trees.contentOf(subject.tree, entry)
    const size = ref === undefined ? undefined : (entry.size ?? store.tryStat(ref)?.sizeBytes)
    return {
      path: showPath(path),
      type: entry.type,
      mode: entry.mode.toString(8).padStart(4, '0'),
      owner: `${entry.uid ?? 0}:${entry.gid ?? 0}`,
      ...(ref === undefined ? {} : { ref }),
      ...(ref === undefined || !wantsDigest || !store.has(ref) ? {} : { sha256: digestOf(ref) }),
      ...(size === undefined ? {} : { size }),
      ...(entry.target === undefined ? {} : { target: showBytes(entry.target) }),
      ...(entry.linkTo === undefined ? {} : { linkTo: `/${showBytes(entry.linkTo)}` }),
      followed: links.map(link => ({ path: showPath(link.path), target: showPath(link.target) })),
    }
  }

  return {
    findings: () => [...graph.findings.map(found => found.message), ...origins.findings(), ...releases.findings()],
    whence: async path => answer(path, resolveOrLink(trees, subject.tree, path), true),
    async *whenceAll() {
      for (const { path, entry } of trees.walk(subject.tree)) {
        if (entry.type === 'f') yield await answer(path, { path, entry, links: [] }, false)
      }
    },
  }
}

/** A link that leads nowhere in the tree (`/etc/mtab`, `/etc/resolv.conf`) has an origin of its own. */
function resolveOrLink(trees: TreeReader, tree: Reference, path: BytePath): ResolvedPath {
  try {
    return trees.resolve(tree, path)
  } catch (error) {
    if (!isAslError(error, 'PATH_NOT_FOUND', 'TREE_INVALID')) throw error
    const link = trees.resolve(tree, path, { keepLast: true })
    if (link.entry.type !== 'l') throw error
    return link
  }
}
