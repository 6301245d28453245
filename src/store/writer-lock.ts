import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, linkSync, openSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { AslError } from '../core/mod.ts'
import { errnoOf, ioError, removeIfThere, tryFlock, writeAll } from '../sys/mod.ts'
import type { WriterLock } from './fs.ts'

interface Holder {
  readonly pid: number
  readonly boot_id: string
  readonly host: string
  /** This very process has it. */
  readonly isHere?: boolean
}

/**
 * `tmp/writer.lock`: made exclusively, holding `{"pid","boot_id","host"}`. Stale when the boot id differs or the process
 * is gone. The holder also keeps a `flock` on it, which the kernel drops with the process: whoever removes a stale lock
 * must own that, so two waiting writers cannot both take it over, and a holder in another pid namespace is not mistaken
 * for a dead one.
 * @throws AslError STORE_LOCKED that names the holder, after `waitMs`
 */
export function lockWriter(path: string, waitMs: number): WriterLock {
  const until = performance.now() + waitMs
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    const taken = tryLock(path)
    if ('release' in taken) return taken
    if (taken.isHere === true || performance.now() >= until) throw locked(path, taken)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs)
  }
}

function tryLock(path: string): WriterLock | Holder {
  const fd = tryCreate(path)
  if (fd === undefined) return tryTakeOver(path)
  const identity = identityOf(fd)
  heldHere.add(identity)
  return {
    release() {
      heldHere.delete(identity)
      unlinkSync(path)
      closeSync(fd)
    },
  }
}

/** Made under another name and linked, so that the lock never exists without its content and its flock. */
function tryCreate(path: string): number | undefined {
  const draft = `${path}.${randomUUID()}.tmp`
  const fd = openDraft(draft)
  try {
    writeAll(fd, Buffer.from(`${JSON.stringify({ pid: process.pid, boot_id: bootId(), host: hostname() })}\n`), 0)
    if (!tryFlock(fd)) throw new Error(`${draft} is flocked by another process`)
    linkSync(draft, path)
    return fd
  } catch (error) {
    closeSync(fd)
    // ENOENT: a writer that has just opened the store swept our draft away; the caller comes again
    if (errnoOf(error) === 'EEXIST' || errnoOf(error) === 'ENOENT') return undefined
    throw ioError(error, `Cannot lock the store with ${path}`)
  } finally {
    removeIfThere(draft)
  }
}

/** Removes the lock file of a dead holder, so that the next try succeeds; returns who holds it. */
function tryTakeOver(path: string): Holder {
  const fd = tryOpen(path)
  if (fd === undefined) return UNKNOWN // it has just been released: the caller comes again
  try {
    const holder = parseHolder(readFileSync(fd))
    if (!heldHere.has(identityOf(fd)) && tryFlock(fd) && isSameFile(fd, path) && !isAlive(holder)) unlinkSync(path)
    return { ...holder, isHere: heldHere.has(identityOf(fd)) }
  } finally {
    closeSync(fd)
  }
}

/** Identities of the lock files that this process holds. */
const heldHere = new Set<string>()

function identityOf(fd: number): string {
  const stat = fstatSync(fd, { bigint: true })
  return `${stat.dev}:${stat.ino}`
}

const UNKNOWN: Holder = { pid: 0, boot_id: '', host: '' }

function openDraft(path: string): number {
  try {
    return openSync(path, 'wx+', 0o644)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'EROFS' || errno === 'EACCES' || errno === 'EPERM') {
      throw new AslError('STORE_READ_ONLY', `Cannot write to the store: ${path} cannot be made (${errno})`, {
        hint: 'The store lies on a read-only medium or belongs to another user.',
        cause: error,
      })
    }
    throw ioError(error, `Cannot lock the store with ${path}`)
  }
}

function tryOpen(path: string): number | undefined {
  try {
    return openSync(path, 'r+')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw ioError(error, `Cannot read the lock ${path}`)
  }
}

function isSameFile(fd: number, path: string): boolean {
  try {
    const [held, named] = [fstatSync(fd, { bigint: true }), statSync(path, { bigint: true })]
    return held.ino === named.ino && held.dev === named.dev
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

/** What cannot be parsed names nobody, so its holder counts as dead once the flock is free. */
function parseHolder(bytes: Buffer): Holder {
  try {
    const value = JSON.parse(bytes.toString('utf8')) as Partial<Holder>
    return { pid: Number(value.pid), boot_id: String(value.boot_id), host: String(value.host) }
  } catch (error) {
    if (error instanceof SyntaxError) return UNKNOWN
    throw error
  }
}

/**
 * We hold the flock here, so no process of this kernel has the lock: another program that keeps no flock, or one on
 * another machine that shares the folder, may still live.
 */
function isAlive(holder: Holder): boolean {
  if (holder.boot_id !== bootId() || !Number.isSafeInteger(holder.pid) || holder.pid <= 0) return false
  if (holder.pid === process.pid) return false // left by an earlier process that had our number
  try {
    process.kill(holder.pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) !== 'ESRCH'
  }
}

let knownBootId: string | undefined
function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return knownBootId
}

function locked(path: string, holder: Holder): AslError {
  const isOurs = holder.isHere === true
  const who = holder.pid === 0 ? 'another process' : `process ${holder.pid} on ${holder.host}`
  return new AslError('STORE_LOCKED', `${path} is held by ${isOurs ? `this process (${holder.pid})` : who}`, {
    hint: isOurs
      ? 'End the open batch first.'
      : 'Wait for it to end, or end it; a lock whose process is gone is removed by itself.',
    details: { pid: holder.pid, host: holder.host, path },
  })
}
