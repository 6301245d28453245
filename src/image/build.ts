import { outputOf, proxyEnvironment, runStep, type Step, type StepHost, type StepResult } from '../capture/mod.ts'
import {
  encodeJson,
  entryRef,
  type InputEntry,
  type Json,
  KINDS,
  type OutputEntry,
  type Reference,
  TREE,
  type TypeTag,
} from '../core/mod.ts'
import { noProgress, type Progress } from '../sys/mod.ts'
import type { ArchiveState } from './archive-state.ts'
import { type Architecture, asInput, type BuildContext, builtinStep, commandStep, treeInput } from './build-context.ts'
import { entryAt } from './project-tree.ts'
import type { Recipe } from './recipe-schema.ts'
import { bootFilesStep } from './steps/boot-files.ts'
import { debianTreeStep } from './steps/debian-tree.ts'
import { dracutStep, initramfsStep } from './steps/initramfs.ts'
import { type NpmPackages, programStep } from './steps/program.ts'
import { rootImageStep } from './steps/root-image.ts'
import { TOOLS_PACKAGES } from './steps/tools-tree.ts'
import { isoStep } from './variants/iso.ts'

/** Everything an image is made from, each already an artifact of the store. */
export interface BuildSources {
  readonly recipe: Recipe
  /** The recipe's path in the project, and its bytes as an input. */
  readonly recipeInput: InputEntry
  readonly project: Reference
  readonly archive: ArchiveState
  readonly archiveInput: InputEntry
  readonly npm: NpmPackages | undefined
  readonly arch: Architecture
  readonly epoch: number
}

export interface BuildResult {
  readonly results: readonly StepResult[]
  readonly rootTree: Reference
  readonly image: OutputEntry
  readonly rootHash: string
  readonly snapshotHash: string
  readonly commandLine: string
}

/** Steps of a build, as many as there are in {@link buildImage} without the recipe's own. */
const FIXED_STEPS = 12

/**
 * The build, from sources to image, each stage one step: `tree + command + environment → tree`. The same sources give
 * the same steps on every machine; what a step needs to know it gets as an input.
 */
export async function buildImage(
  sources: BuildSources,
  host: StepHost,
  progress: Progress = noProgress,
): Promise<BuildResult> {
  const { recipe } = sources
  progress({ kind: 'plan', steps: FIXED_STEPS + (recipe.steps ?? []).length + (sources.npm === undefined ? 0 : 1) })
  return runBuild(sources, host, async (step, position) => {
    const id = String(position)
    progress({ kind: 'step-start', id, title: step.name })
    try {
      const result = await runStep(step, {
        ...host,
        progress: (_, counts) => progress({ kind: 'step-progress', id, ...counts }),
      })
      progress({ kind: 'step-end', id, state: result.state === 'known' ? 'cached' : 'built', ms: result.wallMs })
      return result
    } catch (error) {
      progress({ kind: 'step-end', id, state: 'failed', ms: 0 })
      throw error
    }
  })
}

export interface PlannedStep {
  readonly name: string
  /** `known`: its receipt is in the store. `to run`: it has none. After that, what is known cannot be told yet. */
  readonly state: 'known' | 'to run'
}

/** The steps as far as they can be told without running one: up to and with the first that has no receipt. */
export async function planImage(sources: BuildSources, host: StepHost): Promise<readonly PlannedStep[]> {
  const planned: PlannedStep[] = []
  const stop = new Error('the plan ends here')
  try {
    await runBuild(sources, host, async step => {
      const known = host.known.find(step)
      planned.push({ name: step.name, state: known === undefined ? 'to run' : 'known' })
      if (known === undefined) throw stop
      return { step, receiptRef: known.ref, outputs: known.outputs.entries, state: 'known', wallMs: 0 }
    })
  } catch (error) {
    if (error !== stop) throw error
  }
  return planned
}

type RunStep = (step: Step, position: number) => Promise<StepResult>

async function runBuild(sources: BuildSources, host: StepHost, run: RunStep): Promise<BuildResult> {
  const { recipe, project, archiveInput } = sources
  const results: StepResult[] = []
  const context: BuildContext = {
    recipe,
    arch: sources.arch,
    epoch: sources.epoch,
    host,
    results,
    async step(step) {
      const result = await run(step, results.length)
      results.push(result)
      return result
    },
  }
  const put = (name: string, value: Json): InputEntry => putJson(host, name, value)
  const treeOf = async (step: Step, output = 'root'): Promise<Reference> =>
    outputOf(await context.step(step), output).ref

  const stage0 = await treeOf(
    builtinStep(context, {
      name: 'stage 0: unpack mmdebstrap',
      builtin: 'op:unpack-debs',
      network: 'declared',
      inputs: [
        archiveInput,
        fileInput('keyring.asc', host, project, recipe.debian.keyring),
        put('parameters', {
          components: recipe.debian.components ?? ['main'],
          suites: [recipe.debian.suite, ...(recipe.debian.further_suites ?? [])],
        }),
      ],
    }),
  )
  const debian = {
    lock: archiveInput,
    suites: [recipe.debian.suite, ...(recipe.debian.further_suites ?? [])],
    components: recipe.debian.components ?? ['main'],
    proxyVariables: proxyEnvironment(),
  }
  const tools = await treeOf(
    debianTreeStep(context, {
      ...debian,
      name: 'tools: mmdebstrap',
      root: stage0,
      packages: Object.keys(TOOLS_PACKAGES),
    }),
  )
  const base = await treeOf(
    debianTreeStep(context, {
      ...debian,
      name: 'root: mmdebstrap',
      root: tools,
      packages: recipe.debian.packages,
      excludePaths: recipe.debian.exclude_paths ?? [],
      includePaths: recipe.debian.include_paths ?? [],
    }),
  )
  const overlays: InputEntry[] = []
  if (recipe.overlay !== undefined) {
    overlays.push({ name: 'overlay', role: 'overlay', ref: entryRef(entryAt(host.store, project, recipe.overlay)) })
  }
  if (sources.npm !== undefined) {
    const program = await treeOf(programStep(context, tools, programSources(host, project), sources.npm), 'overlay')
    overlays.push({ name: 'program', role: 'overlay', ref: program })
  }
  let root = await treeOf(
    builtinStep(context, { name: 'overlay', builtin: 'op:overlay', inputs: [treeInput('root', base), ...overlays] }),
  )
  for (const step of recipe.steps ?? []) {
    const roots = { root: '/' }
    root = await treeOf(
      commandStep(context, { name: step.name, argv: step.run, root, roots, inputs: [treeInput('root', root)] }),
    )
  }
  const identity = put('parameters', {
    hostname: recipe.hostname ?? recipe.name,
    image_id: recipe.name,
    image_version: recipe.version ?? '0',
  })
  root = await treeOf(
    builtinStep(context, { name: 'normalise', builtin: 'op:normalise', inputs: [treeInput('root', root), identity] }),
  )
  const dracut = entryRef(entryAt(host.store, project, 'dracut'))
  const archive = await context.step(dracutStep(context, root, dracut))
  const initramfs = outputOf(
    await context.step(initramfsStep(context, tools, asInput(outputOf(archive, 'initramfs.cpio')))),
    'initramfs.cpio.zst',
  )
  const rootImage = await context.step(rootImageStep(context, tools, root))
  const rootHash = host.store.read(outputOf(rootImage, 'root.hash').ref).toString('utf8')

  const described = await context.step(
    builtinStep(context, {
      name: 'describe the build',
      builtin: 'op:describe-build',
      inputs: [
        sources.recipeInput,
        archiveInput,
        treeInput('project', project),
        treeInput('root', root),
        ...['root.erofs', 'root.verity', 'root.hash'].map(name => asInput(outputOf(rootImage, name))),
        asInput(initramfs),
        ...receiptInputs(results),
      ],
    }),
  )
  const history = await context.step(
    builtinStep(context, {
      name: `history: ${recipe.history ?? 'full'}`,
      builtin: 'op:history',
      inputs: [
        put('parameters', { domain: `image-${recipe.name}`, profile: recipe.history ?? 'full' }),
        treeInput('root', root),
        asInput(outputOf(described, 'build.json')),
        ...receiptInputs(results),
      ],
    }),
  )
  const snapshotHash = host.store.read(outputOf(history, 'snapshot-hash').ref).toString('utf8')
  const commandLine = [
    'root=asl',
    `asl.root=${rootHash}`,
    `asl.history=${snapshotHash}`,
    ...(recipe.kernel?.command_line ?? []),
  ].join(' ')
  const boot = await context.step(bootFilesStep(context, { tools, root, initramfs: asInput(initramfs), commandLine }))
  const iso = await context.step(
    isoStep(context, {
      tools,
      rootHash,
      history: outputOf(history, 'history').ref,
      files: [
        ...['vmlinuz', 'esp.img', 'eltorito.img', 'grub.cfg'].map(name => asInput(outputOf(boot, name))),
        asInput(initramfs),
        ...['root.erofs', 'root.verity'].map(name => asInput(outputOf(rootImage, name))),
      ],
    }),
  )
  return { results, rootTree: root, image: outputOf(iso, `${recipe.name}.iso`), rootHash, snapshotHash, commandLine }
}

/** A canonical JSON document as an input. */
function putJson(host: StepHost, name: string, value: Json): InputEntry {
  const bytes = encodeJson(value)
  return { name, role: 'file', ref: putAtOnce(host, bytes), size: bytes.length }
}

/** A small artifact in a batch of its own; nothing is written when it is known. */
function putAtOnce(host: StepHost, bytes: Uint8Array, tag?: TypeTag): Reference {
  const writer = host.store.openWriter()
  try {
    const ref = writer.put(bytes, tag)
    writer.commit()
    return ref
  } finally {
    writer.abort()
  }
}

/** What the program is bundled from: a change of a recipe or an overlay does not make it anew. */
function programSources(host: StepHost, project: Reference): Reference {
  const wanted = ['package-lock.json', 'package.json', 'src']
  const entries = TREE.decode(host.store.read(project)).entries.filter(entry => wanted.includes(entry.name.toString()))
  return putAtOnce(host, TREE.encode({ entries }), KINDS['asl.tree'])
}

/** Earlier receipts as inputs, named by the order in which the steps ran. */
function receiptInputs(results: readonly StepResult[]): InputEntry[] {
  return results.map(({ receiptRef }, i) => ({
    name: `receipt-${String(i + 1).padStart(3, '0')}`,
    role: 'receipt',
    ref: receiptRef,
  }))
}

function fileInput(name: string, host: StepHost, project: Reference, path: string): InputEntry {
  const entry = entryAt(host.store, project, path)
  return { name, role: 'file', ref: entryRef(entry), size: entry.size ?? 0 }
}
