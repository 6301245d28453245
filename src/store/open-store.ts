import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { AslError, type DomainId, domainNumber, parseDomainId, sha256Bytes } from '../core/mod.ts'
import { DEFAULT_BLOCK_TARGET_BYTES, DEFAULT_SMALL_MAX_BYTES, encodeStoreConfig, type StoreConfig } from './config.ts'
import { diskFs } from './disk-fs.ts'
import { DiskStore, guarded, type OpenOptions } from './disk-store.ts'
import type { ReadFs, StoreFs } from './fs.ts'
import { STORE_FOLDERS, storePaths, VIEW_FOLDERS } from './layout.ts'
import { encodeLogHeader, encodeLogRecord, LOG_HEADER_SIZE_BYTES, LOG_START, RECORD_TYPES } from './log-codec.ts'
import { writeNewFile } from './recovery.ts'

/**
 * Opens a store on the disk: a folder with `meta/store.json`, or one whose `.asl/` has it.
 * @throws AslError STORE_NOT_FOUND when there is none, STORE_UNSUPPORTED for a newer format, CONFIG_INVALID, STORE_IO
 */
export function openStore(path: string, options: OpenOptions = {}): DiskStore {
  const root = [path, join(path, '.asl')].find(candidate => existsSync(join(candidate, 'meta/store.json')))
  if (root === undefined) {
    throw new AslError('STORE_NOT_FOUND', `No store at "${path}": there is no meta/store.json`, {
      hint: `'asl init-store --store ${path}' makes one.`,
    })
  }
  return new DiskStore(resolve(root), diskFs, diskFs, options)
}

/** Opens a store for reading only, through any file system: one inside an image, or on a read-only medium. */
export function openReader(fs: ReadFs, path: string, options: OpenOptions = {}): DiskStore {
  return new DiskStore(path, fs, undefined, options)
}

export interface InitOptions {
  /** A UUID, or a plain name that stands for one. Default: a new random UUID. */
  readonly domainId?: string
  readonly blockTargetBytes?: number
  /** 0 makes every plain file a block of its own. */
  readonly smallMaxBytes?: number
  /** Also the folders for people: `binaries scripts per runs`. */
  readonly withViews?: boolean
  readonly fs?: StoreFs
}

/**
 * Makes an empty store and opens it. Repeating it after a crash finishes the work.
 * @throws AslError STORE_EXISTS
 */
export function initStore(path: string, options: InitOptions = {}): DiskStore {
  const fs = options.fs ?? diskFs
  const root = resolve(path)
  guarded(`Cannot make a store at "${root}"`, () => layOut(fs, root, configOf(options), options.withViews === true))
  return new DiskStore(root, fs, fs)
}

function configOf(options: InitOptions): StoreConfig {
  const domainId: DomainId = parseDomainId(options.domainId ?? randomUUID())
  return {
    domainId,
    domainNum: domainNumber(domainId),
    shardCount: 1,
    blockTargetBytes: options.blockTargetBytes ?? DEFAULT_BLOCK_TARGET_BYTES,
    smallMaxBytes: options.smallMaxBytes ?? DEFAULT_SMALL_MAX_BYTES,
    chunking: 'none',
    compression: 'none',
  }
}

/** `meta/store.json` comes last: without it there is no store. */
function layOut(fs: StoreFs, root: string, config: StoreConfig, withViews: boolean): void {
  const paths = storePaths(root)
  if (fs.stat(paths.config) !== undefined) throw new AslError('STORE_EXISTS', `There is a store at "${root}" already`)
  const emptyLogBytes = LOG_HEADER_SIZE_BYTES + 16 + 32 + 32
  if ((fs.stat(paths.log)?.sizeBytes ?? 0) > emptyLogBytes) {
    throw new AslError('STORE_EXISTS', `"${root}" holds the log of a store, but no meta/store.json`, {
      hint: 'Restore that file from a copy; making a new store there would lose the old one.',
    })
  }
  makeFolders(fs, root)
  for (const folder of [...STORE_FOLDERS, ...(withViews ? VIEW_FOLDERS : [])]) fs.mkdir(join(root, folder))
  const bytes = encodeStoreConfig(config)
  const firstRecord = encodeLogRecord(LOG_START, RECORD_TYPES.STORE_CONFIG, sha256Bytes(bytes))
  for (const [target, content] of [
    [paths.log, Buffer.concat([encodeLogHeader(), firstRecord])],
    [paths.config, bytes],
  ] as const) {
    fs.unlink(`${target}.tmp`)
    writeNewFile(fs, `${target}.tmp`, content, 0o644)
    if (target === paths.config) for (const folder of [...STORE_FOLDERS, '.']) fs.fsyncFolder(join(root, folder))
    fs.rename(`${target}.tmp`, target)
  }
  fs.fsyncFolder(join(root, 'meta'))
}

/** The root and the folders above it. */
function makeFolders(fs: StoreFs, path: string): void {
  if (fs.stat(path) !== undefined) return
  const parent = join(path, '..')
  makeFolders(fs, parent)
  fs.mkdir(path)
  fs.fsyncFolder(parent)
}
