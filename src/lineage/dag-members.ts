import { AslError, type Reference, shortReference } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import { type BytePath, partsOf, ROOT_PATH, showPath, showText } from './byte-path.ts'
import type { ArtifactGroup, StepGroup } from './dag-fold.ts'
import type { Incidence, IncidenceArtifact } from './dag-incidence.ts'
import type { DagMember, DagSection } from './dag-model.ts'
import { formatSize } from './size-text.ts'
import { stepName } from './step-name.ts'
import { diffTrees } from './tree-diff.ts'
import { treeReader } from './tree-reader.ts'

/** Lists everything that the boxes of a full picture stand for. A file appears in the tree that brought it, once. */
export interface MemberReader {
  ofSteps(group: StepGroup): readonly DagSection[]
  /** @throws AslError LIMIT_EXCEEDED past {@link MAX_MEMBERS} in all */
  ofArtifacts(group: ArtifactGroup): readonly DagSection[]
}

/** A picture with more would not open in a browser: about 200 bytes each. */
const MAX_MEMBERS = 1_000_000

export function memberReader(store: StoreReader, incidence: Incidence): MemberReader {
  const trees = treeReader(store)
  let listed = 0
  const listFiles = (artifact: IncidenceArtifact): readonly DagSection[] => {
    const byFolder = new Map<string, DagMember[]>()
    const before = treeBefore(incidence, artifact)
    for (const { path, b, kind, fields } of diffTrees({ trees, tree: before }, { trees, tree: artifact.ref })) {
      const isNew = kind === 'added' || fields.some(field => field === 'content' || field === 'type')
      if (b === undefined || b.type === 'd' || !isNew) continue
      if (++listed > MAX_MEMBERS) throw tooMany()
      const folder = folderLabel(path)
      const list = byFolder.get(folder) ?? []
      byFolder.set(folder, list)
      const sizeBytes = b.size ?? 0
      list.push({ name: showPath(path), detail: b.ref === undefined ? '' : shortReference(b.ref), sizeBytes })
    }
    return [...byFolder]
      .map(([label, members]) => ({ label: showPath(label), members }))
      .sort((a, b) => (a.label < b.label ? -1 : 1))
  }
  return {
    ofSteps: group => {
      const steps = group.steps.flatMap(index => incidence.steps[index]?.step ?? [])
      if (steps.length <= 1) return []
      const members = steps.map(step => ({ name: stepName(step), detail: shortReference(step.ref), sizeBytes: 0 }))
      return [{ label: '', members }]
    },
    ofArtifacts: ({ artifacts }) => {
      const [only] = artifacts
      if (only !== undefined && artifacts.length === 1) {
        const isTree = only.kind === 'tree' || only.kind === 'overlay'
        return isTree && store.has(only.ref) ? listFiles(only) : []
      }
      listed += artifacts.length
      if (listed > MAX_MEMBERS) throw tooMany()
      const members = artifacts
        .map(({ name, ref, sizeBytes }) => ({ name: showText(name), detail: shortReference(ref), sizeBytes }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
      return [{ label: '', members }]
    },
  }
}

/** The tree that a step made this one of; of several, the first. Absent when it was made from other things. */
function treeBefore({ steps }: Incidence, artifact: IncidenceArtifact): Reference | undefined {
  const producer = artifact.producers[0]
  const step = producer === undefined ? undefined : steps[producer]?.step
  const output = step?.outputs.find(candidate => candidate.ref === artifact.ref)
  return step?.inputs.find(input => input.role === 'tree' && input.name === output?.name)?.ref
}

/** `/usr/lib`, `/etc`: two levels below `/usr` and `/var`, one elsewhere. */
function folderLabel(path: BytePath): BytePath {
  const parts = partsOf(path).slice(0, -1)
  const [top = ''] = parts
  const depth = top === 'usr' || top === 'var' ? 2 : 1
  return parts.length === 0 ? ROOT_PATH : (`/${parts.slice(0, depth).join('/')}` as BytePath)
}

function tooMany(): AslError {
  return new AslError('LIMIT_EXCEEDED', `The full picture would show more than ${MAX_MEMBERS} artifacts`, {
    hint: 'Leave --full out, or give --from and a reference.',
  })
}

/** What a pointer shows on one of many small tiles. */
export function memberTooltip(member: DagMember): string {
  return [member.name, member.sizeBytes > 0 ? formatSize(member.sizeBytes) : '', member.detail]
    .filter(Boolean)
    .join('\n')
}
