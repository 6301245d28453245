import { closeSync, constants, openSync, readSync } from 'node:fs'
import { AslError, type OutputEntry, type OutputRole, type Reference } from '../../core/mod.ts'
import type { StoreWriter } from '../../store/mod.ts'
import { errnoOf, ioError } from '../../sys/mod.ts'
import type { EndState } from './end-state.ts'
import type { Naming } from './naming.ts'
import type { Observation, Reason } from './observation.ts'
import { pathBytes, pathText, type RawPath } from './raw-path.ts'

/** A regular file that the run made or changed, with its content put into the batch. */
export interface OutputFile {
  readonly ref: Reference
  readonly sizeBytes: number
}

export interface OutputFiles {
  readonly files: ReadonlyMap<RawPath, OutputFile>
  readonly entries: readonly OutputEntry[]
  readonly reasons: readonly Reason[]
}

/**
 * Puts every new or changed file outside the roots into the batch. A file whose content is what it was before, and
 * whose attributes nobody touched, is no output.
 */
export function putOutputFiles(
  writer: StoreWriter,
  end: EndState,
  options: { readonly observation: Observation; readonly naming: Naming },
): OutputFiles {
  const { observation, naming } = options
  const files = new Map<RawPath, OutputFile>()
  const entries: OutputEntry[] = []
  const reasons = new Set<Reason>()
  for (const [path, { stat, isNew, hasNewAttributes }] of end.changed) {
    if (!stat.isFile() || naming.rootOf(path) !== undefined) continue
    const put = putOutput(writer, path)
    if (put === undefined) {
      reasons.add('unreadable')
      continue
    }
    const before = observation.reads.get(path)
    const isSame = !isNew && !hasNewAttributes && before?.ref === put.ref
    if (isSame) continue
    files.set(path, put)
    if (!isNew && stat.nlink > 1n && !hasAllNames(path, end)) reasons.add('hard-link-elsewhere')
    entries.push({ name: naming.nameOf(path), role: put.role, ref: put.ref, size: put.sizeBytes })
  }
  return { files, entries, reasons: [...reasons] }
}

/** Other names of a changed file hold the new content too; only those that the run named are known. */
function hasAllNames(path: RawPath, end: EndState): boolean {
  const stat = end.changed.get(path)?.stat
  if (stat === undefined) return true
  let count = 0n
  for (const { stat: other } of end.changed.values()) if (other.ino === stat.ino && other.dev === stat.dev) count++
  return count >= stat.nlink
}

function putOutput(writer: StoreWriter, path: RawPath): (OutputFile & { readonly role: OutputRole }) | undefined {
  let fd: number
  try {
    fd = openSync(pathBytes(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (['EACCES', 'EPERM', 'ENOENT', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined
    throw ioError(error, `Cannot read output ${pathText(path)}`, 'CAPTURE_FAILED')
  }
  try {
    const { reference, sizeBytes } = writer.putOpenFile(fd, pathText(path))
    return { ref: reference, sizeBytes, role: outputRole(fd) }
  } finally {
    closeSync(fd)
  }
}

/** Signatures of disk images: ISO 9660 at sector 16, a GUID partition table at sector 1, qcow2 at the start. */
const IMAGE_SIGNATURES: readonly (readonly [offset: number, text: string])[] = [
  [0x8001, 'CD001'],
  [512, 'EFI PART'],
  [0, 'QFI\xfb'],
]

function outputRole(fd: number): OutputRole {
  const bytes = Buffer.alloc(8)
  const isImage = IMAGE_SIGNATURES.some(([offset, text]) => {
    const size = readSync(fd, bytes, 0, text.length, offset)
    return size === text.length && bytes.toString('latin1', 0, size) === text
  })
  return isImage ? 'image' : 'file'
}

/** @throws AslError CAPTURE_OUTPUT_MISSING */
export function requireOutputs(declared: Readonly<Record<string, string>>, entries: readonly OutputEntry[]): void {
  for (const [name, path] of Object.entries(declared)) {
    if (entries.some(entry => entry.name === name)) continue
    throw new AslError('CAPTURE_OUTPUT_MISSING', `The command did not write output "${name}" at ${path}`, {
      details: { name, path },
    })
  }
}
