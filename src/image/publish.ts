import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  encodeJson,
  type Json,
  type OutputEntry,
  parseSha256,
  type Reference,
  type Sha256,
  sha256Stream,
} from '../core/mod.ts'
import { loadReceipt, type StoreReader } from '../store/mod.ts'
import { tryReadFile, writeAll, writeFileAtomic } from '../sys/mod.ts'
import type { BuildResult, BuildSources } from './build.ts'

export interface Published {
  /** The folder that now holds the variant. */
  readonly folder: string
  readonly files: readonly PublishedFile[]
}

export interface PublishedFile {
  readonly name: string
  readonly sizeBytes: number
  readonly sha256: Sha256
}

export interface PublishOptions {
  /** `<out>/<recipe>`. */
  readonly recipeFolder: string
  readonly variant: string
  readonly source: { readonly gitSha: string | null; readonly isDirty: boolean }
  /** Draws the steps of the build; beside the image, never inside. Asked only when something is written. */
  readonly draw: () => Promise<string>
}

/**
 * Writes one variant beside its manifest, digests, receipts and drawing: everything in a folder that gets its name when
 * it is complete. What was there before is replaced as a whole; when it is the same variant, it is left as it is.
 */
export async function publishVariant(
  store: StoreReader,
  sources: BuildSources,
  result: BuildResult,
  options: PublishOptions,
): Promise<Published> {
  const folder = join(options.recipeFolder, options.variant, sources.arch)
  const there = tryPublished(folder, store, sources, result, options)
  if (there !== undefined) return there
  const temporary = `${folder}.tmp`
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(join(temporary, 'receipts'), { recursive: true })
  const image = putOut(store, result.image, join(temporary, result.image.name))
  // The image's own time is the epoch; a file that was touched since is written again by the next build.
  utimesSync(join(temporary, result.image.name), sources.epoch, sources.epoch)
  for (const [i, { receiptRef }] of result.results.entries()) {
    const name = `${String(i + 1).padStart(3, '0')}-${receiptRef.slice(4, 20)}`
    writeFileSync(join(temporary, 'receipts', `${name}.fer`), store.read(receiptRef))
  }
  const drawing = putText(temporary, DRAWING, await options.draw())
  const manifest = putText(temporary, MANIFEST, manifestOf(store, sources, result, options, image).toString())
  const files = [image, manifest, drawing].sort((a, b) => (a.name < b.name ? -1 : 1))
  writeFileSync(join(temporary, SUMS), files.map(file => `${file.sha256}  ${file.name}\n`).join(''))
  rmSync(folder, { recursive: true, force: true })
  renameSync(temporary, folder)
  return { folder, files }
}

const MANIFEST = 'build-manifest.json'
const DRAWING = 'dag.svg'
const SUMS = 'SHA256SUMS'

/** What an earlier build has left, when it is what this one would write. */
function tryPublished(
  folder: string,
  store: StoreReader,
  sources: BuildSources,
  result: BuildResult,
  options: PublishOptions,
): Published | undefined {
  const sums = tryReadFile(join(folder, SUMS))?.toString('utf8') ?? ''
  const files = [...sums.matchAll(/^([0-9a-f]{64}) {2}(.+)$/gm)].map(([, digest = '', name = '']): PublishedFile => {
    const sizeBytes = statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? -1
    return { name, sizeBytes, sha256: parseSha256(digest) }
  })
  const image = files.find(file => file.name === result.image.name)
  if (image === undefined || files.some(file => file.sizeBytes < 0) || image.sizeBytes !== result.image.size)
    return undefined
  if (statSync(join(folder, image.name)).mtimeMs !== sources.epoch * 1000) return undefined
  const manifest = manifestOf(store, sources, result, options, image)
  return tryReadFile(join(folder, MANIFEST))?.equals(manifest) === true ? { folder, files } : undefined
}

/** What was made, as canonical JSON: no time, host, user or path in it (reference images.md §5). */
function manifestOf(
  store: StoreReader,
  sources: BuildSources,
  result: BuildResult,
  options: PublishOptions,
  image: PublishedFile,
): Buffer {
  const last = result.results.at(-1)
  const kernel = result.results.flatMap(({ outputs }) => outputs).find(entry => entry.name === 'kernel-release')
  const manifest: Json = {
    schema_version: 2,
    arch: sources.arch,
    apt_snapshot: null,
    artifacts: {
      [image.name]: {
        media_type: 'application/vnd.efi.iso',
        receipt: last?.receiptRef ?? null,
        reference: result.image.ref,
        role: 'iso',
        sha256: image.sha256,
        size_bytes: image.sizeBytes,
      },
    },
    base_image_digest: null,
    boot: { firmware: ['bios', 'uefi'], loader: 'grub, systemd-stub', secure: false },
    cmdline: { default: result.commandLine },
    dirty: options.source.isDirty,
    git_sha: options.source.gitSha,
    history: { profile: sources.recipe.history ?? 'full', snapshot_sha256: result.snapshotHash },
    inputs: inputsOf(store, result),
    kernel_version: kernel === undefined ? null : store.read(kernel.ref).toString('utf8'),
    receipts: result.results.map(({ receiptRef }) => receiptRef),
    root: { tree: result.rootTree, verity_root_hash: result.rootHash },
    source_date_epoch: sources.epoch,
    source_tree: sources.project,
    unpinned: [],
    variant: options.variant,
    variants: [options.variant],
    version: sources.recipe.version ?? '0',
  }
  return encodeJson(manifest)
}

/** Every download of every step, once. */
function inputsOf(store: StoreReader, result: BuildResult): Json {
  const inputs = new Map<string, { readonly ref: Reference; readonly size: number }>()
  for (const { receiptRef } of result.results) {
    for (const { name, role, ref, size } of loadReceipt(store, receiptRef).inputs.entries) {
      if (role === 'download') inputs.set(name, { ref, size: size ?? 0 })
    }
  }
  return [...inputs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { ref, size }]) => ({ kind: 'download', name, reference: ref, size_bytes: size }))
}

/** Copies content out of the store: as a clone of its block where the file system can, else piece by piece. */
function putOut(store: StoreReader, entry: OutputEntry, path: string): PublishedFile {
  const hasher = sha256Stream()
  const inPlace = store.tryContentPath(entry.ref)
  if (inPlace !== undefined) copyFileSync(inPlace, path, constants.COPYFILE_FICLONE)
  const fd = inPlace === undefined ? openSync(path, 'w', 0o644) : undefined
  try {
    for (const chunk of store.chunks(entry.ref)) {
      hasher.update(chunk)
      if (fd !== undefined) writeAll(fd, chunk)
    }
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
  chmodSync(path, 0o644)
  return { name: entry.name, sizeBytes: entry.size ?? 0, sha256: hasher.digest() }
}

function putText(folder: string, name: string, text: string): PublishedFile {
  writeFileAtomic(join(folder, name), text)
  const hasher = sha256Stream()
  const bytes = Buffer.from(text)
  hasher.update(bytes)
  return { name, sizeBytes: bytes.length, sha256: hasher.digest() }
}
