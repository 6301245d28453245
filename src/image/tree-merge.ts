import { AslError, entryRef, type Reference, TREE, type TreeEntry } from '../core/mod.ts'
import type { DraftFolder, StoreReader } from '../store/mod.ts'
import { KEEP_FILE } from './project-tree.ts'

/**
 * Puts a tree over a draft, entry by entry, without a file system. A folder over a link to a folder goes *through* the
 * link, so that an overlay's `bin/` lands in `usr/bin` and the link stays (reference §14). Folders that are there keep
 * their metadata; `.gitkeep` files are left out.
 * @throws AslError TREE_INVALID when a folder would replace a file, or a file a folder
 */
export function mergeTree(store: StoreReader, base: DraftFolder, over: Reference): void {
  mergeInto(store, base, base, over, '')
}

function mergeInto(store: StoreReader, top: DraftFolder, folder: DraftFolder, over: Reference, path: string): void {
  for (const entry of TREE.decode(store.read(over)).entries) {
    const shown = `${path}/${entry.name.toString('utf8')}`
    const below = folder.get(entry.name)
    if (entry.type !== 'd') {
      if (entry.name.toString('latin1') === KEEP_FILE) continue
      if (below?.type === 'd') throw conflict(shown, 'a file over a folder')
      folder.set(entry)
    } else {
      const target =
        below?.type === 'l' ? followLink(top, folder, below, shown) : makeFolder(folder, entry, below, shown)
      mergeInto(store, top, target, entryRef(entry), shown)
    }
  }
}

function makeFolder(folder: DraftFolder, entry: TreeEntry, below: TreeEntry | undefined, shown: string): DraftFolder {
  if (below !== undefined && below.type !== 'd') throw conflict(shown, 'a folder over a file')
  const { ref: _ref, ...rest } = entry
  return folder.make({ ...rest, type: 'd' })
}

/** Links inside the tree only: neither `..` nor a link behind the link is followed. */
function followLink(top: DraftFolder, folder: DraftFolder, link: TreeEntry, shown: string): DraftFolder {
  const target = (link.target ?? Buffer.alloc(0)).toString('latin1')
  let at = target.startsWith('/') ? top : folder
  for (const part of target.split('/').filter(piece => piece !== '' && piece !== '.')) {
    const name = Buffer.from(part, 'latin1')
    if (part === '..' || at.get(name)?.type !== 'd') {
      throw conflict(shown, `a folder over a link to "${target}", which is no folder of this tree`)
    }
    at = at.open(name)
  }
  return at
}

function conflict(path: string, what: string): AslError {
  return new AslError('TREE_INVALID', `Cannot merge ${path}: ${what}`)
}
