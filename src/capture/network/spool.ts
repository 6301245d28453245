import { createHash, type Hash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { AslError, type Sha256 } from '../../core/mod.ts'
import { ioError, removeIfThere, writeAll } from '../../sys/mod.ts'

/** Sees a body grow. All calls come in the turn in which the bytes arrived. */
export interface SpoolFollower {
  /** `chunk` lies in the file at `position` already. */
  onChunk(chunk: Buffer, position: number): void
  onComplete(): void
  onFail(error: AslError): void
}

type State = { kind: 'growing' } | { kind: 'complete'; sha256: Sha256 } | { kind: 'failed'; error: AslError }

/**
 * A body on its way: a temporary file that grows, hashed while it passes, with any number of readers behind the
 * writer. A reader that keeps up is handed the bytes; one that falls behind reads them back from the page cache, so a
 * slow client costs neither memory nor upstream's patience.
 *
 * Writing is synchronous on purpose: it goes to the page cache, and the order is then evident.
 */
export class Spool {
  readonly path: string
  readonly url: string
  readonly #followers = new Set<SpoolFollower>()
  #state: State = { kind: 'growing' }
  /** Open while the body grows or somebody reads it. */
  #fd: number | undefined
  #readers = 0
  #hash: Hash = createHash('sha256')
  #position = 0
  #sizeBytes = 0
  /** After a restart: what the first bytes must hash to, since clients have seen them. */
  #seen: { readonly sizeBytes: number; readonly digest: string } | undefined

  constructor(path: string, url: string) {
    this.path = path
    this.url = url
    this.#fd = openSync(path, 'wx+', 0o600)
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get state(): State {
    return this.#state
  }

  /** @throws AslError DISK_FULL, STORE_IO; DIGEST_MISMATCH when a second attempt brings other bytes than the first */
  append(chunk: Buffer): void {
    let fresh = chunk
    if (this.#seen !== undefined) {
      const known = chunk.subarray(0, this.#seen.sizeBytes - this.#position)
      fresh = chunk.subarray(known.length)
      this.#hash.update(known)
      this.#position += known.length
      if (this.#position < this.#seen.sizeBytes) return
      if (this.#hash.copy().digest('hex') !== this.#seen.digest) throw changed(this.url)
      this.#seen = undefined
    }
    if (fresh.length === 0 || this.#fd === undefined) return
    try {
      writeAll(this.#fd, fresh, this.#position)
    } catch (error) {
      throw ioError(error, `Cannot write ${this.path}`)
    }
    this.#hash.update(fresh)
    const position = this.#position
    this.#position += fresh.length
    this.#sizeBytes = this.#position
    for (const follower of this.#followers) follower.onChunk(fresh, position)
  }

  /** A new attempt starts from the first byte. What was spooled stays, and must come again. */
  restart(): void {
    if (this.#seen === undefined && this.#position > 0) {
      this.#seen = { sizeBytes: this.#position, digest: this.#hash.digest('hex') }
    }
    this.#hash = createHash('sha256')
    this.#position = 0
  }

  /** @throws AslError DIGEST_MISMATCH when a second attempt was shorter than what the first had brought */
  complete(): Sha256 {
    if (this.#seen !== undefined) throw changed(this.url)
    const sha256 = this.#hash.digest('hex') as Sha256
    this.#end({ kind: 'complete', sha256 })
    for (const follower of [...this.#followers]) follower.onComplete()
    return sha256
  }

  fail(error: AslError): void {
    if (this.#state.kind !== 'growing') return
    this.#end({ kind: 'failed', error })
    for (const follower of [...this.#followers]) follower.onFail(error)
  }

  /** Removes the file of a body that is not wanted. */
  discard(): void {
    this.fail(new AslError('INTERRUPTED', `${this.url} was not wanted any more`))
    removeIfThere(this.path)
  }

  /** Bytes that have arrived, at most `sizeBytes` of them. Only while retained. */
  read(position: number, sizeBytes: number): Buffer {
    const fd = this.#fd
    if (fd === undefined) throw new Error('a spool is read while it is retained')
    const piece = Buffer.allocUnsafe(Math.min(sizeBytes, this.#sizeBytes - position))
    let done = 0
    while (done < piece.length) {
      const got = readSync(fd, piece, done, piece.length - done, position + done)
      if (got === 0) throw new AslError('CAPTURE_FAILED', `${this.path} lost bytes while it was read`)
      done += got
    }
    return piece
  }

  /**
   * Keeps the content readable, also when the file is kept and unlinked meanwhile. To be called in the turn in which
   * the spool was found, before anything else can run. The function it returns ends that.
   */
  retain(): () => void {
    if (this.#state.kind !== 'failed') this.#fd ??= openSync(this.path, 'r')
    this.#readers++
    let isRetained = true
    return () => {
      if (!isRetained) return
      isRetained = false
      this.#readers--
      this.#closeUnused()
    }
  }

  /** Sees the body grow from now on. The function it returns ends that. */
  follow(follower: SpoolFollower): () => void {
    this.#followers.add(follower)
    return () => void this.#followers.delete(follower)
  }

  #end(state: State): void {
    this.#state = state
    this.#closeUnused()
  }

  #closeUnused(): void {
    if (this.#fd === undefined || this.#readers > 0 || this.#state.kind === 'growing') return
    closeSync(this.#fd)
    this.#fd = undefined
  }
}

function changed(url: string): AslError {
  return new AslError('DIGEST_MISMATCH', `${url} gave two different bodies in one run`, {
    hint: 'One URL is one input. Ask for an address whose content does not change while the step runs.',
    details: { url },
  })
}
