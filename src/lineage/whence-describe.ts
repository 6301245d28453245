import type { Reference } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import type { PackageIdentity } from './archive.ts'
import { type BytePath, showPath, showText } from './byte-path.ts'
import type { Graph, GraphStep } from './graph.ts'
import type { Origin, Source } from './origin.ts'
import type { PlainDigests } from './plain-digests.ts'
import type { ReleaseChains } from './release-chain.ts'
import type { RunView } from './run-view.ts'
import { commandLine, stepName } from './step-name.ts'
import type { NamedInput } from './step-sources.ts'
import type { TreeStep } from './tree-history.ts'
import type { WhenceSubject } from './whence.ts'
import type { InputGroup, Proof, WhenceLink } from './whence-link.ts'

/** What a chain is made from. */
export interface ChainWorld {
  readonly store: StoreReader
  readonly graph: Graph
  readonly releases: ReleaseChains
  readonly digestOf: PlainDigests
  readonly runsOf: (receipt: Reference) => readonly RunView[]
}

export function subjectLinks(subject: WhenceSubject, path: BytePath): readonly WhenceLink[] {
  const { image, tree } = subject
  const place = { kind: 'tree', ref: tree, path: showPath(path) } as const
  if (image === undefined) return [{ ...place, proof: { by: 'asked', says: 'the tree that was asked about' } }]
  return [
    {
      kind: 'image',
      ...image,
      name: showText(image.name),
      proof: { by: 'asked', says: 'the image that was asked about' },
    },
    { ...place, proof: { by: 'history', says: 'the history inside the image names this root' } },
  ]
}

/** The steps that left the content alone, then the one that brought it. */
export function stepLinks(world: ChainWorld, origin: Origin): readonly WhenceLink[] {
  const retouched = origin.retouched.map(
    ({ step, fields }): WhenceLink => ({
      kind: 'retouch',
      receipt: step.ref,
      step: stepName(step),
      fields,
      proof: { by: 'tree', says: `it changed ${fields.join(', ')} and left the content alone` },
    }),
  )
  return origin.introduced === undefined ? retouched : [...retouched, introductionLink(world, origin.introduced)]
}

function introductionLink(world: ChainWorld, made: TreeStep): WhenceLink {
  const says =
    made.before === undefined
      ? 'the tree is an output of its receipt, made from other things than a tree'
      : 'the tree after it has this content at the path, the tree before has not'
  return stepLink(world, made.step, made.alternatives, { by: 'tree', says })
}

function stepLink(world: ChainWorld, step: GraphStep, alternatives: number, proof: Proof): WhenceLink {
  const { details } = step
  return {
    kind: 'step',
    receipt: step.ref,
    step: stepName(step),
    command: details === undefined ? '' : commandLine(details.command),
    cwd: showText(details?.command.cwd ?? ''),
    network: details?.environment.network ?? '',
    ...(details?.environment.rootRef === undefined ? {} : { root: details.environment.rootRef }),
    alternatives,
    runs: world.runsOf(step.ref),
    proof,
  }
}

type CopySource = Extract<Source, { kind: 'tree' }>

/** The place that a file was copied from. */
export function copyLink({ from, tree, path }: CopySource): WhenceLink {
  if (from === 'before') {
    const says = 'the tree before the step holds the same bytes here'
    return { kind: 'tree', ref: tree, path: showPath(path), proof: { by: 'content', says } }
  }
  if (from.kind === 'overlay') {
    const checkoutPath = `${showText(from.name)}${showPath(path)}`
    return { kind: 'overlay', ref: tree, checkoutPath, proof: { by: 'content', says: 'same bytes as in the overlay' } }
  }
  const which = from.kind === 'root' ? 'the tree that the step ran in' : `input tree "${showText(from.name)}"`
  return { kind: 'tree', ref: tree, path: showPath(path), proof: { by: 'content', says: `same bytes as in ${which}` } }
}

/** Where the chain ends: what came from outside, or what the step itself made. */
export async function sourceLinks(
  world: ChainWorld,
  source: Exclude<Source, CopySource>,
  step: GraphStep | undefined,
): Promise<readonly WhenceLink[]> {
  switch (source.kind) {
    case 'member':
      return memberLinks(world, source, step)
    case 'input':
      return inputLinks(world, source.input, { by: 'content', says: 'the file is this input, byte for byte' })
    case 'made':
      return step === undefined ? [] : [madeLink(step, ownerNames(source.owners), source.isFolder === true)]
    case 'unknown':
      return [unknownLink('no receipt of the store names this tree as its output')]
  }
}

async function memberLinks(
  world: ChainWorld,
  source: Extract<Source, { kind: 'member' }>,
  step: GraphStep | undefined,
): Promise<readonly WhenceLink[]> {
  const { archive, member, input } = source.found
  const path = showPath(member.path)
  const proof: Proof = { by: 'content', says: `same bytes as its member ${source.isSamePath ? 'of this path' : path}` }
  if (archive.package === undefined || step === undefined) {
    const link: WhenceLink = { kind: 'archive', ref: input.ref, member: path, proof }
    return [link, ...inputLinks(world, input, { by: 'receipt', says: 'an input of the step, by its receipt' })]
  }
  const { part } = member
  const { isListed } = source
  return [
    { kind: 'package', ...archive.package, member: path, part, isListed, proof },
    ...inputLinks(world, input, { by: 'receipt', says: 'an input of the step, by its receipt' }),
    ...(await releaseLinks(world, step, input)),
  ]
}

/** An input, and when a step of this history made it, that step. */
function inputLinks(world: ChainWorld, input: NamedInput, proof: Proof): readonly WhenceLink[] {
  const artifact: WhenceLink = {
    kind: 'artifact',
    ref: input.ref,
    ...(world.store.has(input.ref) ? { sha256: world.digestOf(input.ref) } : {}),
    name: showText(input.name),
    role: input.role ?? 'input',
    ...(input.size === undefined ? {} : { size: input.size }),
    proof,
  }
  const [maker, ...others] = world.graph.producersOf(input.ref)
  if (maker === undefined) return [artifact]
  const says = 'the artifact is an output of its receipt'
  return [artifact, stepLink(world, maker, others.length, { by: 'receipt', says }), madeLink(maker, [])]
}

async function releaseLinks(world: ChainWorld, step: GraphStep, input: NamedInput): Promise<readonly WhenceLink[]> {
  const listed = await world.releases.listing(step, input)
  if (listed === undefined) {
    return input.role === 'download' ? [unknownLink('no signed package list of this history names the package')] : []
  }
  const { entry, index, release, signature } = listed
  const links: readonly WhenceLink[] = [
    {
      kind: 'index',
      ref: index.ref,
      sha256: index.sha256,
      url: showText(index.name),
      proof: { by: 'digest', says: `lists ${showText(entry.filename)} with this SHA-256` },
    },
    {
      kind: 'release',
      ref: release.ref,
      url: showText(release.name),
      suite: showText(release.suite),
      date: new Date(release.date * 1000).toISOString(),
      proof: { by: 'digest', says: `lists ${showText(index.pathInRelease)} with this SHA-256` },
    },
  ]
  if (!signature.isVerified) {
    return [...links, unknownLink(`the signature of InRelease was not verified: ${showText(signature.reason)}`)]
  }
  const { fingerprint, userId, keyring, keyringFrom = 'input' } = signature
  return [
    ...links,
    {
      kind: 'key',
      fingerprint,
      userId: showText(userId),
      keyring: showText(keyring),
      keyringFrom,
      proof: { by: 'signature', says: 'its signature over InRelease is good' },
    },
  ]
}

const SHOWN_NAMES = 3

/** A package may list both names of a merged folder. */
function ownerNames(owners: readonly PackageIdentity[]): readonly string[] {
  return [...new Set(owners.map(owner => `${owner.name} ${owner.version}`.trim()))]
}

function madeLink(step: GraphStep, owners: readonly string[], isFolder = false): WhenceLink {
  const byRole = new Map<string, string[]>()
  for (const input of step.inputs) {
    const role = input.role ?? 'input'
    const names = byRole.get(role) ?? []
    byRole.set(role, names)
    names.push(input.name ?? input.ref)
  }
  const inputs = [...byRole]
    .map(
      ([role, names]): InputGroup => ({ role, count: names.length, names: names.slice(0, SHOWN_NAMES).map(showText) }),
    )
    .sort((a, b) => (a.role < b.role ? -1 : 1))
  const says = isFolder
    ? 'a folder has no content of its own; the step made the first one here'
    : 'no input of the step holds these bytes, so the step wrote them'
  return { kind: 'made', inputs, owners: owners.map(showText), proof: { by: 'receipt', says } }
}

export function unknownLink(reason: string): WhenceLink {
  return { kind: 'unknown', reason, proof: { by: 'nothing', says: 'nothing vouches for what lies beyond' } }
}

/** The last step is enough to know which tree it was; the reference says the rest. */
export function isOutside(graph: Graph, tree: Reference): boolean {
  return graph.producersOf(tree).length === 0
}
