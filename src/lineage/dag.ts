import { type Reference, shortReference } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import { showText } from './byte-path.ts'
import { type ArtifactGroup, type FoldLimits, foldHistory, hostOf, type StepGroup } from './dag-fold.ts'
import { type Incidence, type IncidenceArtifact, type IncidenceOptions, incidenceOf } from './dag-incidence.ts'
import { memberReader } from './dag-members.ts'
import type { Dag, DagEdge, DagNode, DagSection } from './dag-model.ts'
import type { Graph, GraphStep } from './graph.ts'
import { formatCount, formatSize } from './size-text.ts'
import { commandLine, programName, stepName } from './step-name.ts'
import { countDifferences, diffTrees } from './tree-diff.ts'
import { treeReader } from './tree-reader.ts'
import { type TreeSize, treeSizes } from './tree-size.ts'

export interface DagOptions extends IncidenceOptions {
  readonly title?: string
  readonly limits?: FoldLimits
  /** Also what the boxes stand for, down to every file that a step brought into a tree. */
  readonly isFull?: boolean
}

/** The history of a store, folded and labelled, ready to be laid out. */
export function dagOf(store: StoreReader, graph: Graph, options: DagOptions = {}): Dag {
  const isFull = options.isFull === true
  const incidence = incidenceOf(graph, { hasReceipts: isFull, ...options })
  const folded = foldHistory(incidence, options.limits)
  const sizeOf = treeSizes(store)
  const effectOf = effectReader(store)
  const members = memberReader(store, incidence)
  const withMembers = (node: DagNode, list: () => readonly DagSection[]): DagNode =>
    isFull ? { ...node, members: list() } : node
  const nodes = [
    ...folded.stepGroups.map((group, i) =>
      withMembers(stepNode(incidence, group, i, effectOf), () => members.ofSteps(group)),
    ),
    ...folded.artifactGroups.map((group, i) =>
      withMembers(artifactNode(group, i, sizeOf), () => members.ofArtifacts(group)),
    ),
  ]
  return {
    title: options.title ?? 'Lineage',
    nodes,
    edges: folded.artifactGroups.flatMap(edgesOfGroup),
    totals: {
      steps: incidence.steps.length,
      artifacts: incidence.artifacts.length,
      sizeBytes: incidence.artifacts.reduce((sum, artifact) => sum + artifact.sizeBytes, 0),
    },
  }
}

function edgesOfGroup(group: ArtifactGroup, i: number): readonly DagEdge[] {
  const artifact = `a${i}`
  const kindAt = (step: number): DagEdge['kind'] => (group.changedBy.has(step) ? 'change' : 'data')
  // A folded group can be both made and used by one folded step: one arrow is enough, or every box would have a loop.
  const consumers = group.consumers.filter(step => !group.producers.includes(step))
  const runIn = group.runIn.filter(step => !group.producers.includes(step) && !consumers.includes(step))
  return [
    ...group.producers.map((step): DagEdge => ({ from: `s${step}`, to: artifact, kind: kindAt(step) })),
    ...consumers.map((step): DagEdge => ({ from: artifact, to: `s${step}`, kind: kindAt(step) })),
    ...runIn.map((step): DagEdge => ({ from: artifact, to: `s${step}`, kind: 'root' })),
  ]
}

/** Names in a tooltip: enough to find what one looks for, few enough to stay on a screen. */
const TOOLTIP_NAMES = 30

/** What a step did to the tree it changed: `+120 files, 3 changed, −1`. */
type EffectReader = (step: GraphStep) => string | undefined

function effectReader(store: StoreReader): EffectReader {
  const trees = treeReader(store)
  return step => {
    const after = step.outputs.find(output => output.role === 'tree')
    const before = step.inputs.find(input => input.role === 'tree' && input.name === after?.name)
    if (after === undefined || before === undefined || !store.has(after.ref) || !store.has(before.ref)) return undefined
    const counts = countDifferences(diffTrees({ trees, tree: before.ref }, { trees, tree: after.ref }))
    const parts = [
      ...(counts.added > 0 ? [`+${formatCount(counts.added, 'file')}`] : []),
      ...(counts.changed > 0 ? [`${counts.changed.toLocaleString('en-US')} changed`] : []),
      ...(counts.removed > 0 ? [`−${counts.removed.toLocaleString('en-US')}`] : []),
    ]
    return parts.length === 0 ? 'no file changed' : parts.join(', ')
  }
}

function stepNode(incidence: Incidence, group: StepGroup, i: number, effectOf: EffectReader): DagNode {
  const steps = group.steps.flatMap(index => incidence.steps[index]?.step ?? [])
  const [first] = steps
  const base = { id: `s${i}`, kind: 'step', count: steps.length, refs: steps.map(step => step.ref) } as const
  if (first !== undefined && steps.length === 1) {
    const effect = effectOf(first)
    const lines = [
      ...(effect === undefined ? [] : [effect]),
      ...networkLine(first),
      `receipt ${shortReference(first.ref)}`,
    ]
    return { ...base, title: stepName(first), lines, tooltip: stepTooltip(first) }
  }
  const names = [...new Set(steps.map(stepName))]
  const programs = [...new Set(steps.map(step => showText(programName(step))))]
  return {
    ...base,
    title: `${steps.length.toLocaleString('en-US')} × ${programs.length === 1 ? programs[0] : `${programs.length} programs`}`,
    lines: names.slice(0, 2).concat(names.length > 2 ? [`and ${names.length - 2} more`] : []),
    tooltip: clippedList(steps.map(step => `${stepName(step)}   ${step.ref}`)),
  }
}

function networkLine(step: GraphStep): readonly string[] {
  const network = step.details?.environment.network
  return network === undefined || network === 'none' ? [] : [`network: ${network}`]
}

function stepTooltip(step: GraphStep): readonly string[] {
  const { details } = step
  if (details === undefined) return [`receipt ${step.ref}`, 'only its edges are here']
  const root = details.environment.rootRef
  return [
    commandLine(details.command),
    `receipt ${step.ref}`,
    `${formatCount(step.inputs.length, 'input')}, ${formatCount(step.outputs.length, 'output')}`,
    ...(root === undefined ? [] : [`ran in ${root}`]),
  ]
}

function artifactNode(group: ArtifactGroup, i: number, sizeOf: (tree: Reference) => TreeSize | undefined): DagNode {
  const { artifacts } = group
  const kind = artifacts[0]?.kind ?? 'file'
  const base = { id: `a${i}`, kind, count: artifacts.length, refs: artifacts.map(artifact => artifact.ref) } as const
  const [only] = artifacts
  if (only !== undefined && artifacts.length === 1) return { ...base, ...describeOne(only, sizeOf) }
  const hosts = [...new Set(artifacts.flatMap(artifact => hostOf(artifact.name) ?? []))]
  const sizeBytes = artifacts.reduce((sum, artifact) => sum + artifact.sizeBytes, 0)
  const names = artifacts.map(artifact => showText(shortName(artifact.name))).sort()
  return {
    ...base,
    title: formatCount(artifacts.length, ...NOUNS[kind]),
    lines: [
      ...(hosts.length === 1
        ? [`from ${showText(hosts[0] ?? '')}`]
        : hosts.length > 1
          ? [`from ${hosts.length} hosts`]
          : []),
      ...(names.length <= 3 ? names : []),
      ...(sizeBytes > 0 ? [formatSize(sizeBytes)] : []),
    ],
    tooltip: clippedList(artifacts.map(artifact => `${showText(artifact.name)}   ${artifact.ref}`).sort()),
  }
}

const NOUNS: Readonly<Record<IncidenceArtifact['kind'], readonly [one: string, many: string]>> = {
  tree: ['tree', 'trees'],
  overlay: ['overlay', 'overlays'],
  package: ['package', 'packages'],
  index: ['archive list', 'archive lists'],
  download: ['download', 'downloads'],
  file: ['file', 'files'],
  receipt: ['receipt', 'receipts'],
  image: ['image', 'images'],
}

function describeOne(
  artifact: IncidenceArtifact,
  sizeOf: (tree: Reference) => TreeSize | undefined,
): Pick<DagNode, 'title' | 'lines' | 'tooltip' | 'href'> {
  const { kind, name, ref, sizeBytes } = artifact
  const isTree = kind === 'tree' || kind === 'overlay'
  const size = isTree ? sizeOf(ref) : undefined
  const host = hostOf(name)
  const lines = [
    ...(host === undefined ? [] : [`from ${showText(host)}`]),
    ...(size === undefined ? [] : [`${formatCount(size.files, 'file')}, ${formatSize(size.sizeBytes)}`]),
    ...(sizeBytes > 0 ? [formatSize(sizeBytes)] : []),
    ...(isTree || kind === 'image' ? [shortReference(ref)] : []),
  ]
  const title = isTree && name === ref ? NOUNS[kind][0] : showText(kind === 'overlay' ? name : shortName(name))
  const href = /^https?:\/\//.test(name) ? { href: name } : {}
  return { title, lines, tooltip: [showText(name), ref], ...href }
}

function shortName(name: string): string {
  const list = /\/dists\/([^/]+)\/(?:updates\/)?(.+)$/.exec(name)
  if (list === null) return baseName(name)
  const [, suite = '', path = ''] = list
  return `${suite} ${path.replace(/\/by-hash\/.*$/, '').replace(/\/Packages(\.[a-z0-9]+)?$/, '')}`
}

function baseName(name: string): string {
  const trimmed = name.replace(/\/+$/, '')
  return trimmed.slice(trimmed.lastIndexOf('/') + 1) || name
}

function clippedList(names: readonly string[]): readonly string[] {
  return names.length <= TOOLTIP_NAMES
    ? names
    : [...names.slice(0, TOOLTIP_NAMES), `and ${(names.length - TOOLTIP_NAMES).toLocaleString('en-US')} more`]
}
