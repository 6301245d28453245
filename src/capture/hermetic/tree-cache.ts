import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseReference, type Reference } from '../../core/mod.ts'
import { checkoutTree, type StoreReader } from '../../store/mod.ts'
import { tryReadFile, writeFileAtomic } from '../../sys/mod.ts'
import { clampTimes } from './clamp-times.ts'

/**
 * Trees of the store as folders on disk, ready to be the lower layers of an overlay. A folder is one layer: a whole
 * tree, or what a step changed over the tree it ran in, so that a chain of steps copies nothing. Frozen: nobody writes
 * a layer once it is here.
 */
export interface TreeCache {
  /** The layers that together are the tree, topmost first. Checks the tree out when no layer of it is here. */
  layers(tree: Reference): readonly string[]
  /** Takes over a folder as what stands above `below`, or as the whole tree. The folder is moved. */
  adopt(tree: Reference, folder: string, below: Reference | undefined): void
}

/** The kernel takes 500 layers; look-ups in a deep stack cost more than a check-out. */
const MOST_LAYERS = 12
const LAYER = 'layer'
const BELOW = 'below'

/** @param epoch what files without a time of their own get, seconds since 1970; each epoch has layers of its own */
export function openTreeCache(store: StoreReader, cacheFolder: string, epoch: number): TreeCache {
  const folder = join(cacheFolder, String(epoch))
  mkdirSync(folder, { recursive: true })
  const home = (tree: Reference): string => join(folder, tree)
  const stack = (tree: Reference): string[] | undefined => {
    const layers: string[] = []
    let next: Reference | undefined = tree
    while (next !== undefined) {
      const layer = join(home(next), LAYER)
      if (!existsSync(layer) || layers.length >= MOST_LAYERS) return undefined
      layers.push(layer)
      const below = tryReadFile(join(home(next), BELOW))
      next = below === undefined ? undefined : parseReference(below.toString('utf8').trim())
    }
    return layers
  }
  /** Complete or absent: a folder gets its name last. */
  const place = (tree: Reference, below: Reference | undefined, fill: (layer: string) => unknown): void => {
    const temporary = `${home(tree)}.tmp`
    rmSync(temporary, { recursive: true, force: true })
    mkdirSync(temporary)
    fill(join(temporary, LAYER))
    if (below !== undefined) writeFileAtomic(join(temporary, BELOW), `${below}\n`)
    rmSync(home(tree), { recursive: true, force: true })
    renameSync(temporary, home(tree))
  }
  return {
    layers(tree) {
      const known = stack(tree)
      if (known !== undefined) return known
      place(tree, undefined, layer => checkoutTree(store, tree, layer, { epoch }))
      return [join(home(tree), LAYER)]
    },
    adopt(tree, from, below) {
      if (stack(tree) !== undefined) return
      place(tree, below, layer => {
        clampTimes(from, epoch)
        renameSync(from, layer)
      })
    },
  }
}

/** Removes every cached tree. They are made again from the store when a step wants them. */
export function clearTreeCache(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true })
}
