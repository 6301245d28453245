import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isReference, type Reference } from '../core/mod.ts'
import { errnoOf, tryReadFile, writeFileAtomic } from '../sys/mod.ts'
import type { Archive, ArchiveMember, ArchiveReaders, PackageIdentity } from './archive.ts'
import type { BytePath } from './byte-path.ts'

/**
 * Opens each archive once, and remembers its list of members in a folder: to decompress a hundred packages takes ten
 * seconds, to read what they hold a tenth of one. The folder may be deleted at any time.
 */
export function cachedArchives(readers: ArchiveReaders, folder?: string): ArchiveReaders {
  const opened = new Map<Reference, Promise<Archive | undefined>>()
  const open = async (input: { readonly ref: Reference; readonly name: string }): Promise<Archive | undefined> => {
    const path = folder === undefined ? undefined : join(folder, `${input.ref}.json`)
    const kept = path === undefined ? undefined : tryReadFile(path)
    const known = kept === undefined ? undefined : decodeArchive(kept)
    if (known !== undefined) return known
    const archive = await readers.openArchive(input)
    if (folder !== undefined && path !== undefined && archive !== undefined) keep(folder, path, encodeArchive(archive))
    return archive
  }
  return {
    ...readers,
    openArchive(input) {
      const opening = opened.get(input.ref) ?? open(input)
      opened.set(input.ref, opening)
      return opening
    },
  }
}

/** A folder that cannot be written to costs time, not an answer. */
const UNWRITABLE: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'])

function keep(folder: string, path: string, text: string): void {
  try {
    mkdirSync(folder, { recursive: true })
    writeFileAtomic(path, text)
  } catch (error) {
    if (!UNWRITABLE.has(errnoOf(error))) throw error
  }
}

/** Raised when a row changes; a file of another revision counts as absent. */
const REVISION = 1

type Row = readonly [part: 'c' | 'd', path: string, ref: string, target: string]

function encodeArchive(archive: Archive): string {
  const rows = archive.members.map(
    ({ part, path, ref = '', target = '' }): Row => [part === 'control' ? 'c' : 'd', path, ref, target],
  )
  return JSON.stringify({ v: REVISION, package: archive.package, members: rows })
}

/** `undefined` for anything but what this revision writes: a cache that a crash or another version left is no error. */
function decodeArchive(bytes: Buffer): Archive | undefined {
  let value: { readonly v?: unknown; readonly package?: PackageIdentity; readonly members?: unknown }
  try {
    value = JSON.parse(bytes.toString('utf8')) as typeof value
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  if (value?.v !== REVISION || !Array.isArray(value.members)) return undefined
  const members: ArchiveMember[] = []
  for (const row of value.members as readonly Partial<Row>[]) {
    const [part, path, ref, target] = row
    if (path === undefined || ref === undefined || target === undefined) return undefined
    members.push({
      part: part === 'c' ? 'control' : 'data',
      path: path as BytePath,
      ...(isReference(ref) ? { ref } : {}),
      ...(target === '' ? {} : { target }),
    })
  }
  return { ...(value.package === undefined ? {} : { package: value.package }), members }
}
