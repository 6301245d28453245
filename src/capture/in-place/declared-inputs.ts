import { readFileSync, type Stats, statSync } from 'node:fs'
import { basename } from 'node:path'
import { AslError, decodeReceipt, encodeReceipt, type InputEntry, isAslError, TAG_RECEIPT } from '../../core/mod.ts'
import { ingestTree, type StoreWriter } from '../../store/mod.ts'
import { errnoOf } from '../../sys/mod.ts'
import { tryStat, walkFolder } from './end-state.ts'
import type { Naming } from './naming.ts'
import { pathBytes, pathText, type RawPath, rawPath } from './raw-path.ts'

export interface DeclaredInputs {
  /** Name → path of a file or folder. */
  readonly files: Readonly<Record<string, string>>
  /** Files and folders under their own names; receipts in them count as receipts of earlier steps. */
  readonly artifacts: readonly string[]
  readonly stdin: string | undefined
}

export const STDIN_NAME = 'stdin'

/**
 * Puts what the user declares as input, as it is before the run: roots, named files, artifact folders, standard input.
 * @throws AslError PATH_NOT_FOUND, USAGE when two inputs share a name
 */
export function putDeclaredInputs(
  writer: StoreWriter,
  declared: DeclaredInputs,
  options: { readonly naming: Naming; readonly epoch: number },
): readonly InputEntry[] {
  const entries = new Map<string, InputEntry>()
  const add = (entry: InputEntry): void => {
    if (entries.has(entry.name)) throw new AslError('USAGE', `Two inputs are called "${entry.name}"`)
    entries.set(entry.name, entry)
  }
  for (const { name, path } of options.naming.roots) {
    if (tryStat(path) !== undefined) add(putTree(writer, name, path, options.epoch))
  }
  for (const [name, path] of Object.entries(declared.files)) {
    add(statOf(path).isDirectory() ? putTree(writer, name, rawPath(path), options.epoch) : putFile(writer, name, path))
  }
  for (const path of declared.artifacts) {
    const name = basename(path)
    if (!statOf(path).isDirectory()) {
      add(putFile(writer, name, path))
      continue
    }
    add(putTree(writer, name, rawPath(path), options.epoch))
    for (const entry of receiptsIn(writer, name, rawPath(path))) add(entry)
  }
  if (declared.stdin !== undefined) add({ ...putFile(writer, STDIN_NAME, declared.stdin), role: 'stdin' })
  return [...entries.values()]
}

export function putTree(
  writer: StoreWriter,
  name: string,
  path: RawPath,
  epoch: number,
): InputEntry & { role: 'tree' } {
  return { name, role: 'tree', ref: ingestTree(writer, pathBytes(path), { mtime: 'clamp', epoch }).reference }
}

function putFile(writer: StoreWriter, name: string, path: string): InputEntry {
  const { size } = statOf(path)
  return { name, role: 'file', ref: writer.putFile(path), size }
}

/** Every deterministic receipt below the folder, named by its path. */
function receiptsIn(writer: StoreWriter, name: string, folder: RawPath): readonly InputEntry[] {
  const entries: InputEntry[] = []
  walkFolder(folder, (path, stat) => {
    if (!stat.isFile() || !path.endsWith('.fer')) return
    const bytes = readFileSync(pathBytes(path))
    try {
      const receipt = decodeReceipt(bytes)
      if (receipt.run !== undefined || !encodeReceipt(receipt).equals(bytes)) return
    } catch (error) {
      if (isAslError(error, 'RECEIPT_INVALID')) return // a file that is only called so: it is in the tree
      throw error
    }
    const rest = pathText(path.slice(folder.length) as RawPath)
    entries.push({ name: `${name}${rest}`, role: 'receipt', ref: writer.put(bytes, TAG_RECEIPT) })
  })
  return entries
}

function statOf(path: string): Stats {
  try {
    return statSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    throw new AslError('PATH_NOT_FOUND', `Cannot read input ${path}: there is no such file`, { cause: error })
  }
}
