import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import type { InputEntry, Reference } from '../../core/mod.ts'
import type { StoreReader, StoreWriter } from '../../store/mod.ts'
import { errnoOf } from '../../sys/mod.ts'
import type { SeenContent } from './content.ts'
import type { EndState } from './end-state.ts'
import { listingBefore } from './listings.ts'
import type { Naming } from './naming.ts'
import type { Observation, Reason } from './observation.ts'
import type { OutputFile } from './output-entries.ts'
import { isWithin, pathBytes, pathText, type RawPath } from './raw-path.ts'

export interface ReadInputs {
  readonly entries: readonly InputEntry[]
  /** Files that others may not read: named, and not stored. */
  readonly privatePaths: readonly RawPath[]
  /** Files whose content is no longer to be had. */
  readonly lostPaths: readonly RawPath[]
  readonly reasons: readonly Reason[]
}

export interface ReadInputsOptions {
  readonly observation: Observation
  readonly end: EndState
  readonly naming: Naming
  readonly outputs: ReadonlyMap<RawPath, OutputFile>
  readonly store: StoreReader
}

/**
 * Puts what the command read into the batch: every file from before the run outside the roots, and a listing for each
 * folder that it opened. What it moved counts as read, since its content went on under another name.
 */
export function putReadInputs(writer: StoreWriter, options: ReadInputsOptions): ReadInputs {
  const { observation, naming, outputs } = options
  const entries = new Map<string, InputEntry>()
  const privatePaths: RawPath[] = []
  const lostPaths: RawPath[] = []
  const reasons = new Set<Reason>()
  const outside = (path: RawPath): boolean => naming.rootOf(path) === undefined
  const now = new Map(observation.names.moved)
  const spool = openSpool(observation.spoolPath)
  try {
    for (const [path, seen] of observation.reads) {
      if (!outside(path)) continue
      if (seen === undefined) {
        lostPaths.push(path)
        continue
      }
      const { ref, sizeBytes: size, role } = seen
      const name = naming.nameOf(path)
      entries.set(name, { name, role, ref, size })
      if (isPrivate(seen) && !naming.isDeclared(path)) privatePaths.push(path)
      else if (!putSeen(writer, seen, now.get(path) ?? path, spool)) {
        reasons.add('old-content-lost')
        lostPaths.push(path)
      }
    }
    for (const [from, to] of movedFiles(options)) {
      const name = naming.nameOf(from)
      const output = outputs.get(to)
      if (!outside(from) || output === undefined || entries.has(name)) continue
      entries.set(name, { name, role: 'file', ref: output.ref, size: output.sizeBytes })
    }
    const listing = listingBefore(observation.names)
    for (const folder of observation.listed) {
      if (!outside(folder)) continue
      const bytes = listing(folder)
      const name = `${naming.nameOf(folder)}${folder === '/' ? '' : '/'}`
      entries.set(name, { name, role: 'file', ref: writer.put(bytes), size: bytes.length })
    }
  } finally {
    spool.close()
  }
  return { entries: [...entries.values()], privatePaths, lostPaths, reasons: [...reasons] }
}

/** A proposal of the reference: what others may not read is not copied into a store unless it was asked for. */
function isPrivate(seen: SeenContent): boolean {
  return (seen.mode & 0o004) === 0
}

/** Files that were moved themselves, or with their folder. */
function* movedFiles({ end, observation }: ReadInputsOptions): Iterable<readonly [from: RawPath, to: RawPath]> {
  for (const [from, to] of end.moved) {
    const change = end.changed.get(to)
    if (change?.stat.isFile() === true) yield [from, to]
    if (change?.stat.isDirectory() !== true) continue
    const made = new Set<RawPath>(observation.names.made)
    for (const [path, { stat }] of end.changed) {
      if (stat.isFile() && path !== to && isWithin(path, to) && !made.has(path)) {
        yield [(from + path.slice(to.length)) as RawPath, path]
      }
    }
  }
}

interface Spool {
  read(offset: number, sizeBytes: number): Iterable<Buffer>
  close(): void
}

const PIECE_SIZE_BYTES = 1024 * 1024

function openSpool(path: string): Spool {
  const fd = openSync(path, constants.O_RDONLY)
  return {
    *read(offset, sizeBytes) {
      for (let at = 0; at < sizeBytes; ) {
        const piece = Buffer.allocUnsafe(Math.min(PIECE_SIZE_BYTES, sizeBytes - at))
        const size = readSync(fd, piece, 0, piece.length, offset + at)
        if (size === 0) throw new Error(`spool ${path} ends before ${offset + sizeBytes}`)
        yield piece.subarray(0, size)
        at += size
      }
    },
    close: () => closeSync(fd),
  }
}

/** @returns false when neither the spool nor the file has the content any more */
function putSeen(writer: StoreWriter, seen: SeenContent, path: RawPath, spool: Spool): boolean {
  if (writer.has(seen.ref)) return true
  if (seen.spoolOffset !== undefined) {
    const pieces = spool.read(seen.spoolOffset, seen.sizeBytes)
    const ref: Reference =
      seen.sizeBytes <= PIECE_SIZE_BYTES
        ? writer.put(Buffer.concat([...pieces]))
        : writer.putChunks(pieces, seen.sizeBytes)
    if (ref !== seen.ref) throw new Error(`spool holds ${ref} for ${seen.ref}`)
    return true
  }
  let fd: number
  try {
    fd = openSync(pathBytes(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'].includes(errnoOf(error) ?? '')) return false
    throw error
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile() || stat.size !== seen.sizeBytes) return false
    return writer.putOpenFile(fd, pathText(path)).reference === seen.ref
  } finally {
    closeSync(fd)
  }
}
