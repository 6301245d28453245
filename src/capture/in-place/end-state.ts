import { type BigIntStats, lstatSync, readdirSync } from 'node:fs'
import { errnoOf } from '../../sys/mod.ts'
import { CHANGE } from './ledger.ts'
import type { Observation } from './observation.ts'
import { joinPath, pathBytes, type RawPath } from './raw-path.ts'

/** What the run has left behind, read when it was over. */
export interface EndState {
  /** New or changed, by path; files, folders, links, devices. */
  readonly changed: ReadonlyMap<RawPath, Changed>
  /** Names from before the run at which nothing stands any more. */
  readonly removed: readonly RawPath[]
  /** Made and removed again. */
  readonly temporary: readonly RawPath[]
  readonly moved: readonly (readonly [from: RawPath, to: RawPath])[]
}

export interface Changed {
  readonly stat: BigIntStats
  /** False when only attributes, or the content of a file that was there, may differ. */
  readonly isNew: boolean
  readonly hasNewAttributes: boolean
  readonly hasNewContent: boolean
}

export function readEndState(observation: Observation, isExcluded: (path: RawPath) => boolean): EndState {
  const { names, startNs } = observation
  const changed = new Map<RawPath, Changed>()
  const add = (path: RawPath, stat: BigIntStats, change: number): void => {
    changed.set(path, {
      stat,
      isNew: (change & CHANGE.name) !== 0,
      hasNewAttributes: (change & CHANGE.attributes) !== 0,
      hasNewContent: (change & CHANGE.content) !== 0,
    })
  }
  for (const [path, change] of names.touched) {
    const stat = isExcluded(path) ? undefined : tryStat(path)
    // Opened for writing and closed again is no change.
    if (stat !== undefined && (change !== CHANGE.content || stat.ctimeNs >= startNs)) add(path, stat, change)
  }
  for (const [, to] of names.moved) {
    if (changed.get(to)?.stat.isDirectory() !== true) continue
    // No event tells of what a moved folder brings along.
    walkFolder(to, (path, stat) => {
      if (!changed.has(path) && !isExcluded(path)) add(path, stat, CHANGE.name)
    })
  }
  return {
    changed,
    removed: names.lost.filter(path => !isExcluded(path) && tryStat(path) === undefined).sort(),
    temporary: names.temporary.filter(path => !isExcluded(path) && tryStat(path) === undefined).sort(),
    moved: names.moved.filter(([, to]) => changed.has(to)),
  }
}

export function tryStat(path: RawPath): BigIntStats | undefined {
  try {
    return lstatSync(pathBytes(path), { bigint: true })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}

/** Depth of what a program makes is bounded by the longest path, so recursion is too. */
export function walkFolder(folder: RawPath, visit: (path: RawPath, stat: BigIntStats) => void): void {
  for (const name of readdirSync(pathBytes(folder), { encoding: 'buffer' })) {
    const path = joinPath(folder, name.toString('latin1'))
    const stat = tryStat(path)
    if (stat === undefined) continue
    visit(path, stat)
    if (stat.isDirectory()) walkFolder(path, visit)
  }
}
