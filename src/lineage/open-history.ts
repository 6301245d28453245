import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AslError } from '../core/mod.ts'
import { type ImageFile, type ImageFolder, openIso9660, openIsoFolder } from '../formats/mod.ts'
import { type DiskStore, diskFs, openReader, type ReadFs } from '../store/mod.ts'
import { openFileSource } from '../sys/mod.ts'

/** Where an image carries its history, and where the host that it boots shows it. */
export const HISTORY_PATH = 'var/lib/asl/personal'

/**
 * The history of an ISO, read in place, or the store in a folder. Nothing is mounted, copied or written.
 * @throws AslError PATH_NOT_FOUND, FORMAT_INVALID when the file is no ISO, HISTORY_INVALID when it carries no history
 */
export function openHistory(path: string): DiskStore {
  if (!existsSync(path)) throw new AslError('PATH_NOT_FOUND', `There is no ${path}`)
  if (statSync(path).isDirectory()) {
    const folder = [path, join(path, HISTORY_PATH)].find(candidate => existsSync(join(candidate, 'meta', 'store.json')))
    if (folder === undefined)
      throw new AslError('HISTORY_INVALID', `${path} holds no store: there is no meta/store.json`)
    return openReader(diskFs, folder)
  }
  const iso = openIso9660(openFileSource(path))
  const folder = openIsoFolder(iso, '/')
  if (folder.tryStat(`${HISTORY_PATH}/meta/store.json`) === undefined) {
    throw new AslError('HISTORY_INVALID', `${path} carries no history at /${HISTORY_PATH}`)
  }
  return openReader(imageFs(folder), HISTORY_PATH)
}

/** A folder of an image as a store's file system. */
function imageFs(folder: ImageFolder): ReadFs {
  const files = new Map<number, ImageFile>()
  let next = 1
  const fileOf = (fd: number): ImageFile => {
    const file = files.get(fd)
    if (file === undefined) throw new Error(`file ${fd} of ${folder.location} is not open`)
    return file
  }
  return {
    open(path) {
      if (folder.tryStat(path) === undefined) {
        throw Object.assign(new Error(`ENOENT: no ${path} in ${folder.location}`), { code: 'ENOENT' })
      }
      files.set(next, folder.openRead(path))
      return next++
    },
    pread: (fd, into, position) => fileOf(fd).pread(into, position),
    close(fd) {
      fileOf(fd).close()
      files.delete(fd)
    },
    readdir: path => (folder.tryStat(path) === undefined ? [] : folder.readDir(path)),
    stat(path) {
      const stat = folder.tryStat(path)
      return stat && { isFolder: stat.kind === 'folder', sizeBytes: stat.sizeBytes, mtimeMs: 0 }
    },
    sizeOf: fd => fileOf(fd).sizeBytes,
    hostPath: () => undefined,
  }
}
