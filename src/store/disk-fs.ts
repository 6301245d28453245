import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
} from 'node:fs'
import { errnoOf, fsyncFolder, removeIfThere, startWriteback, syncFileSystem, writeAll } from '../sys/mod.ts'
import type { StoreFs } from './fs.ts'
import { lockWriter } from './writer-lock.ts'

/** A store on a disk of this machine. */
export const diskFs: StoreFs = {
  open: path => openSync(path, constants.O_RDONLY),
  pread(fd, into, position) {
    let done = 0
    while (done < into.length) {
      const got = readSync(fd, into, done, into.length - done, position + done)
      if (got === 0) break
      done += got
    }
    return done
  },
  close: closeSync,
  readdir: path => orAbsent(() => readdirSync(path)) ?? [],
  stat: path =>
    orAbsent(() => {
      const stat = statSync(path)
      return { isFolder: stat.isDirectory(), sizeBytes: stat.size, mtimeMs: stat.mtimeMs }
    }),
  sizeOf: fd => fstatSync(fd).size,
  hostPath: path => path,
  create: (path, mode) => openSync(path, 'wx+', mode),
  openForWriting: path => openSync(path, 'r+'),
  pwrite: writeAll,
  truncate: ftruncateSync,
  fsync: fsyncSync,
  fsyncFolder,
  syncAll: syncFileSystem,
  startWriteback,
  rename: renameSync,
  link: linkSync,
  unlink: removeIfThere,
  mkdir(path) {
    try {
      mkdirSync(path)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
  },
  rmdir: rmdirSync,
  lock: lockWriter,
}

function orAbsent<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
