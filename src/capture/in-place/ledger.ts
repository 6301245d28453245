import { folderOf, joinPath, nameOf, type RawPath, rebasePath } from './raw-path.ts'

/**
 * What a run does to names, told in order. The ledger turns it into two questions that can be answered at any moment:
 * where was the thing that is now called `path` before the run, and which names may have changed since.
 *
 * It never looks at the file system: observers tell it, and the end state is read when the run is over.
 */
export interface Ledger {
  /** The name that the thing at `path` had before the run; `undefined` when the run itself made it. */
  origin(path: RawPath): RawPath | undefined
  created(path: RawPath, isFolder: boolean): void
  removed(path: RawPath): void
  renamed(from: RawPath, to: RawPath, isFolder: boolean): void
  /** Two names swapped at once. */
  exchanged(a: RawPath, b: RawPath): void
  /** Content or attributes of what is at `path` were changed. */
  touched(path: RawPath, change: Change): void
  summary(): LedgerSummary
}

export type Change = 'content' | 'attributes'

/** How a name may differ from before; a name can have several of these at once. */
export const CHANGE = { name: 1, content: 2, attributes: 4 } as const

export interface LedgerSummary {
  /** Names, as they are now, whose thing may be new or changed: a sum of {@link CHANGE}. */
  readonly touched: readonly (readonly [path: RawPath, change: number])[]
  /** Names from before the run that were removed or moved away, whatever stands there now. */
  readonly lost: readonly RawPath[]
  /** Things that the run made and removed again. */
  readonly temporary: readonly RawPath[]
  /** Where things are now that the run moved: name before, name now. */
  readonly moved: readonly (readonly [from: RawPath, to: RawPath])[]
  /** Names of things that the run made and that are still there. */
  readonly made: readonly RawPath[]
}

const MADE = ''

export function openLedger(): Ledger {
  /** Name now → name before, or MADE. Only where the two differ. */
  const origins = new Map<RawPath, RawPath | typeof MADE>()
  /** The folders among them: whatever lies below inherits. */
  const folders = new Set<RawPath>()
  const touched = new Map<RawPath, number>()
  const lost = new Set<RawPath>()
  const temporary = new Set<RawPath>()

  const lookUp = (path: RawPath): RawPath | typeof MADE => {
    const known = origins.get(path)
    if (known !== undefined) return known
    if (folders.size === 0 || path === '/') return path
    const folder = folderOf(path)
    const before = lookUp(folder)
    if (before === MADE) return MADE
    return before === folder ? path : joinPath(before, nameOf(path))
  }
  const mark = (path: RawPath, change: number): void => void touched.set(path, (touched.get(path) ?? 0) | change)
  const leave = (path: RawPath, before: RawPath | typeof MADE): void => {
    if (before !== MADE) lost.add(before)
    origins.delete(path)
    folders.delete(path)
    touched.set(path, CHANGE.name)
  }
  const settle = (path: RawPath, before: RawPath | typeof MADE, isFolder: boolean): void => {
    if (before === path && !isFolder) origins.delete(path)
    else origins.set(path, before)
    if (isFolder) folders.add(path)
    else folders.delete(path)
    if (before === path) comeHome(path)
    else mark(path, CHANGE.name)
  }
  /** Moved away and back again: nothing has changed but what else was done to it. */
  const comeHome = (path: RawPath): void => {
    lost.delete(path)
    const changes = (touched.get(path) ?? 0) & ~CHANGE.name
    if (changes === 0) touched.delete(path)
    else touched.set(path, changes)
  }
  /** Everything known below `from` now lies below `to`. */
  const carry = (from: RawPath, to: RawPath): void => {
    const below = `${from}/`
    for (const keys of [origins, touched] as Map<RawPath, unknown>[]) {
      for (const [path, value] of [...keys]) {
        if (!path.startsWith(below)) continue
        keys.delete(path)
        keys.set(rebasePath(path, from, to), value)
      }
    }
    for (const path of [...folders]) {
      if (!path.startsWith(below)) continue
      folders.delete(path)
      folders.add(rebasePath(path, from, to))
    }
  }

  return {
    origin: path => lookUp(path) || undefined,
    created: (path, isFolder) => settle(path, MADE, isFolder),
    touched: (path, change) => mark(path, CHANGE[change]),
    removed(path) {
      const before = lookUp(path)
      if (before === MADE) temporary.add(path)
      leave(path, before)
    },
    renamed(from, to, isFolder) {
      const before = lookUp(from)
      const changes = (touched.get(from) ?? 0) & ~CHANGE.name
      leave(from, before)
      if (isFolder) carry(from, to)
      settle(to, before, isFolder)
      if (changes !== 0) mark(to, changes)
    },
    exchanged(a, b) {
      const aside = `${a}\0aside` as RawPath
      const beforeA = lookUp(a)
      const beforeB = lookUp(b)
      const areFolders = [folders.has(a), folders.has(b)] as const
      carry(a, aside)
      carry(b, a)
      carry(aside, b)
      if (beforeA !== MADE) lost.add(beforeA)
      if (beforeB !== MADE) lost.add(beforeB)
      settle(a, beforeB, areFolders[1] || beforeB !== MADE)
      settle(b, beforeA, areFolders[0] || beforeA !== MADE)
    },
    summary() {
      return {
        touched: [...touched],
        lost: [...lost],
        temporary: [...temporary].filter(path => !origins.has(path)),
        moved: [...origins].flatMap(([path, before]): (readonly [RawPath, RawPath])[] =>
          before === MADE || before === path ? [] : [[before, path]],
        ),
        made: [...origins].filter(([, before]) => before === MADE).map(([path]) => path),
      }
    },
  }
}
