import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { AslError, compareBytes, entryRef, KINDS, type Reference, TREE, type TreeEntry } from '../core/mod.ts'
import type { StoreReader, StoreWriter } from '../store/mod.ts'

/** What of the project takes part in a build. Documentation and tests do not: changing them changes no image. */
const PROJECT_PARTS = ['bin', 'dracut', 'overlays', 'package-lock.json', 'package.json', 'recipes', 'src'] as const

/** Left out wherever it lies: tests, and what editors leave behind. */
const LEFT_OUT = /(\.test\.ts|\.conformance\.ts|~|\.swp|\.tmp)$/

/** Keeps a folder in version control that is empty in the image. */
export const KEEP_FILE = '.gitkeep'

/**
 * The project's own sources as a tree. A checkout's owners, times and group modes depend on who made it under which
 * umask, so none of them enters: files are 0644, or 0755 when their owner may execute them.
 * @throws AslError PATH_NOT_FOUND when a part is missing
 */
export function putProjectTree(writer: StoreWriter, projectRoot: string): Reference {
  const entries: TreeEntry[] = []
  for (const part of PROJECT_PARTS) {
    const entry = putPath(writer, join(projectRoot, part), Buffer.from(part))
    if (entry === undefined) throw new AslError('PATH_NOT_FOUND', `The project at ${projectRoot} has no ${part}`)
    entries.push(entry)
  }
  return writer.put(TREE.encode({ entries }), KINDS['asl.tree'])
}

function putPath(writer: StoreWriter, path: string, name: Buffer): TreeEntry | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return undefined
  if (stat.isSymbolicLink()) {
    return { name, type: 'l', mode: 0o777, target: readlinkSync(path, { encoding: 'buffer' }) }
  }
  if (stat.isFile()) {
    const bytes = readFileSync(path)
    return {
      name,
      type: 'f',
      mode: (stat.mode & 0o100) === 0 ? 0o644 : 0o755,
      ref: writer.put(bytes),
      size: bytes.length,
    }
  }
  if (!stat.isDirectory()) {
    throw new AslError('CAPTURE_FAILED', `${path} is neither file, folder nor link: the project cannot hold it`)
  }
  const entries: TreeEntry[] = []
  for (const child of readdirSync(path).sort()) {
    if (LEFT_OUT.test(child)) continue
    const entry = putPath(writer, join(path, child), Buffer.from(child))
    if (entry !== undefined) entries.push(entry)
  }
  return { name, type: 'd', mode: 0o755, ref: writer.put(TREE.encode({ entries }), KINDS['asl.tree']) }
}

/** The entry at a path of plain names below a tree. @throws AslError PATH_NOT_FOUND */
export function entryAt(store: StoreReader, tree: Reference, path: string): TreeEntry {
  let ref = tree
  const parts = path.split('/').filter(part => part !== '')
  for (const [i, part] of parts.entries()) {
    const name = Buffer.from(part)
    const found = TREE.decode(store.read(ref)).entries.find(entry => compareBytes(entry.name, name) === 0)
    if (found === undefined) throw new AslError('PATH_NOT_FOUND', `No "${path}" in tree ${tree}`)
    if (i === parts.length - 1) return found
    if (found.type !== 'd') throw new AslError('PATH_NOT_FOUND', `"${part}" in "${path}" is no folder in tree ${tree}`)
    ref = entryRef(found)
  }
  throw new AslError('PATH_NOT_FOUND', 'An empty path names no entry')
}
