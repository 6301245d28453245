import { readdirSync } from 'node:fs'
import { compareText } from '../../core/mod.ts'
import { errnoOf } from '../../sys/mod.ts'
import type { LedgerSummary } from './ledger.ts'
import { folderOf, joinPath, nameOf, pathBytes, type RawPath } from './raw-path.ts'

/**
 * What a folder held before the run: its names now, without what the run put there, with what it took away. The
 * content of a listing is those names sorted by bytes, each followed by a NUL.
 */
export function listingBefore(names: LedgerSummary): (folder: RawPath) => Buffer {
  const added = new Set<RawPath>(names.made)
  const current = new Map<RawPath, RawPath>()
  for (const [from, to] of names.moved) {
    added.add(to)
    current.set(from, to)
  }
  const takenFrom = new Map<RawPath, RawPath[]>()
  for (const path of names.lost) {
    const siblings = takenFrom.get(folderOf(path))
    if (siblings === undefined) takenFrom.set(folderOf(path), [path])
    else siblings.push(path)
  }
  return folder => {
    const now = current.get(folder) ?? folder
    const before = new Set((takenFrom.get(folder) ?? []).map(nameOf))
    for (const name of namesIn(now)) {
      const path = joinPath(now, name)
      if (!added.has(path)) before.add(name)
    }
    return Buffer.from(
      [...before]
        .sort(compareText)
        .map(name => `${name}\0`)
        .join(''),
      'latin1',
    )
  }
}

function namesIn(folder: RawPath): readonly string[] {
  try {
    return readdirSync(pathBytes(folder), { encoding: 'buffer' }).map(name => name.toString('latin1'))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return []
    throw error
  }
}
