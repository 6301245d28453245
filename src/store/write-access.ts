import { AslError } from '../core/mod.ts'
import type { DiskStore } from './disk-store.ts'
import type { StoreFs, WriterLock } from './fs.ts'
import { encodeLogRecord, type LogRecord } from './log-codec.ts'
import { applyLogRecord } from './log-state.ts'
import { recover } from './recovery.ts'

/**
 * The right to write, held by at most one process. Batches of one process may be open side by side: they share the lock,
 * and each commits without giving way to another.
 */
export class WriteAccess {
  readonly fs: StoreFs
  readonly #store: DiskStore
  readonly #lockWaitMs: number
  #lock: WriterLock | undefined
  #holders = 0
  /** Descriptor of the log while the lock is held. */
  #log: number | undefined
  #isBroken = false

  constructor(store: DiskStore, fs: StoreFs, lockWaitMs: number) {
    this.#store = store
    this.fs = fs
    this.#lockWaitMs = lockWaitMs
  }

  get holders(): number {
    return this.#holders
  }

  /**
   * Takes the lock, sees what others have committed, and clears away what a crash has left.
   * @throws AslError STORE_LOCKED, STORE_READ_ONLY, STORE_UNSUPPORTED, or the damage that makes the store read-only
   */
  enter(): void {
    if (this.#holders === 0) this.#acquire()
    this.#holders++
  }

  leave(): void {
    if (--this.#holders > 0) return
    this.#release()
  }

  /** Runs `body` as the only holder: no batch of this process may be open either. */
  alone<T>(body: () => T): T {
    if (this.#holders > 0) {
      throw new AslError('STORE_LOCKED', `Store "${this.#store.location}" has an open batch in this process`)
    }
    this.enter()
    try {
      return body()
    } finally {
      this.leave()
    }
  }

  /**
   * Appends one record and waits until it is on the disk. Never two records in one fsync: a crash must leave at most one
   * torn record, so that damage further up cannot be mistaken for it.
   */
  append(type: number, payload: Uint8Array): LogRecord {
    const log = this.#log
    if (log === undefined) throw new Error('the log is appended to without the lock')
    if (this.#isBroken) throw new AslError('STORE_IO', 'The log could not be written before; open the store anew')
    const { position } = this.#store.log
    const bytes = encodeLogRecord(position, type, payload)
    try {
      this.fs.pwrite(log, bytes, position.offset)
    } catch (error) {
      // Nothing was acknowledged, so what did get there is cut off again; if even that fails, recovery does it.
      this.#isBroken = true
      this.fs.truncate(log, position.offset)
      this.#isBroken = false
      throw error
    }
    try {
      this.fs.fsync(log)
    } catch (error) {
      this.#isBroken = true // whether the record is on the disk is unknown: the next opening finds out
      throw error
    }
    const hash = Buffer.from(bytes.subarray(bytes.length - 32))
    const record = { logseq: position.logseq + 1, type, payload: Buffer.from(payload), hash, offset: position.offset }
    applyLogRecord(this.#store.log, record)
    return record
  }

  close(): void {
    if (this.#holders > 0) {
      this.#holders = 0
      this.#release()
    }
  }

  #acquire(): void {
    const store = this.#store
    if (store.config.shardCount !== 1 || store.config.chunking !== 'none') {
      throw new AslError('STORE_UNSUPPORTED', `Store "${store.location}" can be read but not written`, {
        hint: 'This program writes stores with shard_count 1 and chunking "none".',
      })
    }
    this.#lock = this.fs.lock(store.paths.lock, this.#lockWaitMs)
    try {
      store.refresh()
      if (store.damage[0] !== undefined) throw store.damage[0]
      recover(store, this.fs)
      this.#log = this.fs.openForWriting(store.paths.log)
      this.#isBroken = false
    } catch (error) {
      this.#release()
      throw error
    }
  }

  #release(): void {
    if (this.#log !== undefined) this.fs.close(this.#log)
    this.#log = undefined
    this.#lock?.release()
    this.#lock = undefined
  }
}
