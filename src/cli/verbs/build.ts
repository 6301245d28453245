import { join, relative, resolve } from 'node:path'
import type { Architecture } from '../../image/mod.ts'
import {
  type BuildResult,
  type BuildSources,
  buildImage,
  openSession,
  type Published,
  planImage,
  prepareBuild,
  publishVariant,
  type Session,
} from '../../image/mod.ts'
import { buildGraph, dagOf, drawDag } from '../../lineage/mod.ts'
import { formatBytes, formatDuration } from '../format.ts'
import { openProgress, PROGRESS_OPTION } from '../progress.ts'
import { mirrorsOf, outFolderOf, sourceStateOf } from '../settings.ts'
import { storePathOf } from '../store-path.ts'
import { tableLines } from '../table.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'build',
  group: 'Build',
  summary: 'build an image from a recipe, every step with a receipt',
  description:
    'Steps whose receipt is in the store are not run again. An interrupted build goes on where it stopped: run the same ' +
    'command once more. With --plan nothing is run: each step is shown with what is known of it.',
  args: [{ name: 'RECIPE', summary: 'a recipe, such as recipes/auth-host.yaml' }],
  options: [
    STORE_OPTION,
    { flags: '--out DIR', summary: 'where the images go', defaultText: 'out in the project' },
    {
      flags: '--arch ARCH',
      summary: 'architecture',
      choices: ['amd64', 'arm64'],
      defaultText: 'the first of the recipe',
    },
    { flags: '--plan', summary: 'show the steps and what is known of them, and run nothing' },
    { flags: '--shell STEP', summary: 'open a shell in the sandbox of this step instead of running it' },
    PROGRESS_OPTION,
    JSON_OPTION,
  ],
  run: build,
}

async function build(context: Context, input: VerbInput): Promise<number | undefined> {
  const startedMs = context.clock.monotonicMs()
  const view = openProgress(context, input.tryText('progress') ?? 'auto')
  const arch = input.tryText('arch') as Architecture | undefined
  const options = {
    projectRoot: context.projectRoot,
    storePath: storePathOf(context, input),
    clock: context.clock,
    signal: context.signal,
    mirrors: mirrorsOf(context),
    progress: view.report,
    recipePath: resolve(context.cwd, input.arg('RECIPE')),
    ...(arch === undefined ? {} : { arch }),
  }
  try {
    const session = openSession(options)
    const sources = await prepareBuild(session, options)
    const host = session.host(sources.epoch, sources.archive)
    if (input.flag('plan')) {
      view.close()
      showPlan(context, input, await planImage(sources, host))
      return undefined
    }
    const result = await buildImage(sources, host, view.report)
    const source = await sourceStateOf(context)
    const recipeFolder = join(outFolderOf(context, input), sources.recipe.name)
    const published = await publishVariant(session.store, sources, result, {
      recipeFolder,
      variant: 'iso',
      source,
      draw: () => draw(session, sources, result),
    })
    view.close()
    showResult(context, input, result, published, context.clock.monotonicMs() - startedMs)
  } finally {
    view.close()
  }
  return undefined
}

async function draw(session: Session, sources: BuildSources, result: BuildResult): Promise<string> {
  const graph = buildGraph(session.store)
  return drawDag(
    dagOf(session.store, graph, { from: result.image.ref, title: `${sources.recipe.name} (${sources.arch})` }),
  )
}

function showPlan(context: Context, input: VerbInput, steps: Awaited<ReturnType<typeof planImage>>): void {
  if (input.flag('json')) {
    context.print(JSON.stringify({ steps }))
    return
  }
  const rows = steps.map(({ name, state }, i) => [String(i + 1), name, state])
  for (const line of tableLines(rows, { head: ['', 'step', 'state'], right: [0] })) context.print(line)
}

function showResult(
  context: Context,
  input: VerbInput,
  result: BuildResult,
  published: Published,
  wallMs: number,
): void {
  const steps = result.results.map(({ step, state, wallMs: ms, receiptRef, outputs }) => ({
    name: step.name,
    state,
    wall_ms: Math.round(ms),
    receipt: receiptRef,
    outputs,
  }))
  if (input.flag('json')) {
    const { image, rootTree, rootHash, snapshotHash } = result
    context.print(
      JSON.stringify({
        folder: published.folder,
        files: published.files,
        image,
        root_tree: rootTree,
        root_hash: rootHash,
        snapshot_sha256: snapshotHash,
        steps,
        wall_ms: Math.round(wallMs),
      }),
    )
    return
  }
  const rows = steps.map(({ name, state, wall_ms, receipt }) => [
    name,
    state,
    formatDuration(wall_ms),
    receipt.slice(4, 16),
  ])
  for (const line of tableLines(rows, { head: ['step', 'state', 'time', 'receipt'], right: [2] })) context.say(line)
  context.say('')
  const folder = relative(context.cwd, published.folder) || '.'
  for (const file of published.files) {
    context.print(`${file.sha256}  ${formatBytes(file.sizeBytes).padStart(10)}  ${join(folder, file.name)}`)
  }
  const image = join(folder, result.image.name)
  context.say('')
  context.say(`Built in ${formatDuration(wallMs)}. Next:`)
  context.say(`  asl boot ${image} --selftest`)
  context.say(`  asl whence ${image} /usr/bin/openssl`)
  context.say(`  asl replay ${image}`)
}
