import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { knownResponses } from '../capture/mod.ts'
import {
  AslError,
  decodeJson,
  entryRef,
  type InputEntry,
  type OutputEntry,
  parseSha256,
  type Reference,
  TREE,
} from '../core/mod.ts'
import { type BuildDescription, describedBuild } from '../lineage/mod.ts'
import { type LoadedReceipt, loadReceipt, type StoreReader, type StoreWriter } from '../store/mod.ts'
import type { Progress } from '../sys/mod.ts'
import type { ArchiveState } from './archive-state.ts'
import { type BuildResult, type BuildSources, buildImage } from './build.ts'
import type { Architecture } from './build-context.ts'
import { parseRecipe } from './recipe.ts'
import { openSession, type SessionOptions } from './session.ts'

/** How one step of a replay compares with the receipt that the image carries. */
export interface ReplayedStep {
  readonly name: string
  /** `unrecorded`: the history was sealed before this step. */
  readonly verdict: 'identical' | 'different' | 'unrecorded'
  readonly receiptRef: Reference
  readonly recordedRef: Reference | undefined
}

export interface Replay {
  readonly steps: readonly ReplayedStep[]
  readonly image: OutputEntry
  /** The image file against the rebuilt one. */
  readonly imageDifference: ImageDifference | undefined
  readonly result: BuildResult
}

export interface ImageDifference {
  readonly recordedBytes: number
  readonly rebuiltBytes: number
  /** First byte that differs; absent when one is the beginning of the other. */
  readonly offset: number | undefined
}

/**
 * Builds an image again from what it carries, without network, in an empty store, and compares.
 * @throws AslError HISTORY_INVALID, REPLAY_INPUT_MISSING, CAPTURE_COMMAND_FAILED
 */
export async function replayImage(
  imagePath: string,
  history: StoreReader,
  options: Omit<SessionOptions, 'mode' | 'known' | 'mirrors'>,
  progress: Progress,
): Promise<Replay> {
  const description = describedBuild(history)
  const receipts = description.receipts.map(ref => loadReceipt(history, ref))
  const all = [...receipts, description.receipt]
  const session = openSession({
    ...options,
    mode: 'replay',
    mirrors: UNREACHABLE_MIRRORS,
    known: knownResponses(
      all.flatMap(receipt => receipt.inputs.entries),
      history,
    ),
  })
  const writer = session.store.openWriter()
  try {
    copySources(history, writer, all)
    writer.commit()
  } finally {
    writer.abort()
  }
  const sources = sourcesOf(history, description, receipts)
  const result = await buildImage(sources, session.host(sources.epoch, sources.archive), progress)
  const recorded = [...description.receipts, description.receipt.ref]
  const steps = result.results.map(({ step, receiptRef }, i): ReplayedStep => {
    const recordedRef = recorded[i]
    const verdict = recordedRef === undefined ? 'unrecorded' : recordedRef === receiptRef ? 'identical' : 'different'
    return { name: step.name, verdict, receiptRef, recordedRef }
  })
  const imageDifference = compareFile(imagePath, session.store, result.image)
  return { steps, image: result.image, imageDifference, result }
}

/** A replay never leaves the machine: these names exist so that the recorder knows what belongs to a mirror. */
const UNREACHABLE_MIRRORS = {
  debian: 'http://replay.invalid/debian',
  security: 'http://replay.invalid/debian-security',
  npm: async () => 'http://replay.invalid/npm',
}

/** Copies what no step made: downloads, the project, the recipe. Everything else has to come out of the replay. */
function copySources(history: StoreReader, writer: StoreWriter, receipts: readonly LoadedReceipt[]): void {
  const produced = new Set(receipts.flatMap(receipt => receipt.outputs.entries.map(entry => entry.ref)))
  const copied = new Set<Reference>()
  const copy = (ref: Reference): void => {
    if (copied.has(ref)) return
    copied.add(ref)
    const stat = history.tryStat(ref)
    if (stat === undefined) {
      throw new AslError('REPLAY_INPUT_MISSING', `The history of ${history.location} lacks ${ref}`, {
        hint: 'It was built with "history: lineage"; only a full history can be replayed without the network.',
      })
    }
    writer.putChunks(history.chunks(ref), stat.sizeBytes, stat.typeTag)
  }
  const copyTree = (ref: Reference): void => {
    if (copied.has(ref)) return
    copy(ref)
    for (const entry of TREE.decode(history.read(ref)).entries) {
      if (entry.type === 'd') copyTree(entryRef(entry))
      else if (entry.ref !== undefined) copy(entry.ref)
    }
  }
  for (const receipt of receipts) {
    for (const entry of receipt.inputs.entries) {
      if (produced.has(entry.ref) || entry.role === 'receipt') continue
      if (entry.role === 'tree' || entry.role === 'overlay') copyTree(entry.ref)
      else copy(entry.ref)
    }
  }
}

function sourcesOf(
  history: StoreReader,
  description: BuildDescription,
  receipts: readonly LoadedReceipt[],
): BuildSources {
  const input = (name: string): InputEntry => {
    const found = description.receipt.inputs.entries.find(entry => entry.name === name)
    if (found === undefined) throw new AslError('HISTORY_INVALID', `The description of the build names no "${name}"`)
    return found
  }
  const downloads = new Map(
    receipts
      .flatMap(receipt => receipt.inputs.entries.filter(entry => entry.role === 'download'))
      .map(entry => [entry.name, entry]),
  )
  const recipeInput = input('recipe.yaml')
  const { arch, sourceDateEpoch } = description.receipt.environment
  return {
    recipe: parseRecipe(history.read(recipeInput.ref).toString('utf8'), `${history.location}: recipe.yaml`),
    recipeInput,
    project: input('project').ref,
    archive: archiveStateOf(history, input('archive.json'), downloads),
    archiveInput: input('archive.json'),
    npm: npmOf([...downloads.values()]),
    arch: arch as Architecture,
    epoch: sourceDateEpoch,
  }
}

function archiveStateOf(
  history: StoreReader,
  entry: InputEntry,
  downloads: ReadonlyMap<string, InputEntry>,
): ArchiveState {
  const { suites } = decodeJson(history.read(entry.ref)) as {
    readonly suites: readonly { suite: string; url: string; sha256: string; date: number }[]
  }
  return {
    suites: suites.map(({ suite, url, sha256, date }) => {
      const found = downloads.get(url)
      if (found === undefined) throw new AslError('REPLAY_INPUT_MISSING', `No step of the history was given ${url}`)
      return { suite, url, ref: found.ref, sha256: parseSha256(sha256), sizeBytes: found.size ?? 0, date }
    }),
  }
}

/** The npm packages of the program, told apart by what they are. */
function npmOf(downloads: readonly InputEntry[]): BuildSources['npm'] {
  const packages = downloads.filter(entry => /\/-\/[^/]+\.tgz$/.test(entry.name))
  const node = packages.find(entry => /\/node-linux-[a-z0-9]+-[^/]+\.tgz$/.test(entry.name))
  const esbuild = packages.find(entry => entry.name.includes('/@esbuild/'))
  if (node === undefined || esbuild === undefined) return undefined
  return { node, esbuild, bundled: packages.filter(entry => entry !== node && entry !== esbuild) }
}

const COMPARE_BYTES = 1024 * 1024

function compareFile(path: string, store: StoreReader, entry: OutputEntry): ImageDifference | undefined {
  const fd = openSync(path, 'r')
  try {
    const recordedBytes = fstatSync(fd).size
    const rebuiltBytes = entry.size ?? 0
    const buffer = Buffer.alloc(COMPARE_BYTES)
    let offset = 0
    for (const chunk of store.chunks(entry.ref)) {
      const size = readSync(fd, buffer, 0, chunk.length, offset)
      const limit = Math.min(size, chunk.length)
      if (Buffer.compare(buffer.subarray(0, limit), chunk.subarray(0, limit)) !== 0) {
        let at = 0
        while (buffer[at] === chunk[at]) at++
        return { recordedBytes, rebuiltBytes, offset: offset + at }
      }
      offset += chunk.length
    }
    return recordedBytes === rebuiltBytes ? undefined : { recordedBytes, rebuiltBytes, offset: undefined }
  } finally {
    closeSync(fd)
  }
}
