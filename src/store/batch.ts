import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import {
  AslError,
  artifactHasher,
  artifactHeaderSize,
  encodeArtifactHeader,
  isAslError,
  messageOf,
  type Reference,
  referenceDigest,
  referenceFromDigest,
  sha256Bytes,
  type TypeTag,
  UNTAGGED_HEADER_SIZE_BYTES,
} from '../core/mod.ts'
import { errnoOf } from '../sys/mod.ts'
import { BlockWriter } from './block-writer.ts'
import { commitBatch } from './commit.ts'
import { type DiskStore, guarded } from './disk-store.ts'
import type { ArtifactStat, StoreState, StoreWriter } from './interface.ts'
import { BLOCK_ROLES, TOMBSTONE_REASONS } from './log-payloads.ts'
import { RecordTable } from './record-table.ts'
import { showPath } from './tree/path.ts'
import { TrustedBlocks } from './trusted-blocks.ts'
import type { WriteAccess } from './write-access.ts'

const PIECE_BYTES = 1 << 20

/** Content that comes in pieces. */
interface Stream {
  readonly sizeBytes: number
  readonly typeTag: TypeTag | undefined
  /** Can be read twice: what may be known already is hashed before anything is written. */
  readonly isRepeatable: boolean
  each(consume: (piece: Uint8Array) => void): void
}

/** One batch of a {@link DiskStore}: blocks grow under `blocks/open/`, records in memory, and nothing is visible before commit. */
export class Batch implements StoreWriter {
  readonly #store: DiskStore
  readonly #access: WriteAccess
  readonly #blocks: BlockWriter
  readonly #records = new RecordTable()
  readonly #trusted: TrustedBlocks
  /** Tombstones that the new records overtake: digest → logseq. */
  readonly #lifts = new Map<string, number>()
  readonly #streamedSizes = new Set<number>()
  #piece: Buffer | undefined
  #state: 'open' | 'failed' | 'ended' = 'open'

  /** @param untrusted blocks whose content counts as not there, so that it is written anew */
  constructor(store: DiskStore, access: WriteAccess, untrusted?: ReadonlySet<string>) {
    this.#store = store
    this.#access = access
    guarded(`Cannot write to "${store.location}"`, () => access.enter())
    try {
      this.#trusted = new TrustedBlocks(store, untrusted)
      this.#blocks = new BlockWriter(access.fs, store.paths, store.config)
    } catch (error) {
      access.leave()
      throw error
    }
  }

  put(bytes: Uint8Array, typeTag?: TypeTag): Reference {
    return this.#guarded(() => {
      const totalLength = artifactHeaderSize(typeTag) + bytes.length
      if (!this.#isPacked(bytes.length, typeTag)) {
        const each = (consume: (piece: Uint8Array) => void): void => consume(bytes)
        return this.#putStream({ sizeBytes: bytes.length, typeTag, isRepeatable: true, each })
      }
      const space = this.#blocks.space(totalLength)
      const header = encodeArtifactHeader(typeTag, bytes.length)
      space.set(header)
      space.set(bytes, header.length)
      return this.#keepPacked(space.subarray(0, totalLength), typeTag)
    })
  }

  putFile(path: string | Uint8Array): Reference {
    const name = showPath(path)
    const fd = reading(name, () => openSync(path as string, constants.O_RDONLY))
    try {
      return this.putOpenFile(fd, name).reference
    } finally {
      closeSync(fd)
    }
  }

  putOpenFile(fd: number, name: string): ArtifactStat {
    return this.#guarded(() => {
      const stat = reading(name, () => fstatSync(fd))
      if (!stat.isFile()) throw new AslError('CAPTURE_FAILED', `${name} is no regular file`)
      const { size } = stat
      const reference = this.#isPacked(size, undefined)
        ? this.#putSmallFile(fd, size, name)
        : this.#putLargeFile(fd, size, name)
      return { reference, typeTag: undefined, sizeBytes: size }
    })
  }

  putChunks(chunks: Iterable<Uint8Array>, sizeBytes: number, typeTag?: TypeTag): Reference {
    return this.#guarded(() => {
      if (!this.#isPacked(sizeBytes, typeTag)) {
        const each = (consume: (piece: Uint8Array) => void): void => {
          for (const chunk of chunks) consume(chunk)
        }
        return this.#putStream({ sizeBytes, typeTag, isRepeatable: false, each })
      }
      // Put together outside the block: the producer of the chunks may put artifacts of its own meanwhile.
      const bytes = Buffer.allocUnsafeSlow(sizeBytes)
      let filled = 0
      for (const chunk of chunks) {
        if (filled + chunk.length <= sizeBytes) bytes.set(chunk, filled)
        filled += chunk.length
      }
      if (filled !== sizeBytes) throw wrongSize(filled, sizeBytes)
      return this.put(bytes, typeTag)
    })
  }

  has(reference: Reference): boolean {
    return this.#records.find(referenceDigest(reference)) >= 0 || this.#store.has(reference)
  }

  commit(): StoreState {
    const state = this.#guarded(() => {
      if (this.#records.count > 0) commitBatch(this.#store, this.#access, this.#blocks, this.#records, this.#lifts)
      return this.#store.state()
    })
    this.#end()
    return state
  }

  abort(): void {
    if (this.#state !== 'ended') this.#end()
  }

  #end(): void {
    this.#state = 'ended'
    try {
      this.#blocks.close()
    } finally {
      this.#access.leave()
    }
  }

  /** After an error of the machine nothing of the batch can be committed any more; a refused `put` harms nothing. */
  #guarded<T>(body: () => T): T {
    if (this.#state !== 'open') throw new Error(`a batch is used after it has ${this.#state}`)
    try {
      return guarded(`Cannot write to "${this.#store.location}"`, body)
    } catch (error) {
      if (isAslError(error, 'STORE_IO', 'DISK_FULL')) this.#state = 'failed'
      throw error
    }
  }

  /** Tagged artifacts and small untagged ones share blocks. */
  #isPacked(sizeBytes: number, typeTag: TypeTag | undefined): boolean {
    const { smallMaxBytes, blockTargetBytes } = this.#store.config
    if (typeTag === undefined && sizeBytes > smallMaxBytes) return false
    return artifactHeaderSize(typeTag) + sizeBytes <= blockTargetBytes
  }

  #keepPacked(artifactBytes: Buffer, typeTag: TypeTag | undefined): Reference {
    const digest = sha256Bytes(artifactBytes)
    const reference = referenceFromDigest(digest)
    if (this.#isKnown(reference, digest)) return reference
    const place = this.#blocks.keep(artifactBytes)
    this.#records.add(digest, { ...place, typeTag, isContent: false, totalLength: artifactBytes.length })
    return reference
  }

  #putSmallFile(fd: number, sizeBytes: number, name: string): Reference {
    const end = UNTAGGED_HEADER_SIZE_BYTES + sizeBytes
    const space = this.#blocks.space(end + 1)
    space.set(encodeArtifactHeader(undefined, sizeBytes))
    // One byte more is asked for than there should be: a file that has grown shows it in the same call.
    const got = reading(name, () => readFully(fd, space.subarray(UNTAGGED_HEADER_SIZE_BYTES, end + 1), 0, sizeBytes))
    if (got !== sizeBytes) throw changed(name, sizeBytes)
    return this.#keepPacked(space.subarray(0, end), undefined)
  }

  #putLargeFile(fd: number, sizeBytes: number, name: string): Reference {
    const each = (consume: (piece: Uint8Array) => void): void => {
      this.#piece ??= Buffer.allocUnsafeSlow(PIECE_BYTES)
      const piece = this.#piece
      for (let position = 0; position < sizeBytes; ) {
        const wanted = Math.min(piece.length, sizeBytes - position)
        const got = reading(name, () => readFully(fd, piece.subarray(0, wanted), position))
        if (got !== wanted) throw changed(name, sizeBytes)
        consume(piece.subarray(0, wanted))
        position += wanted
      }
      if (fstatSync(fd).size !== sizeBytes) throw changed(name, sizeBytes)
    }
    return this.#putStream({ sizeBytes, typeTag: undefined, isRepeatable: true, each })
  }

  #putStream(stream: Stream): Reference {
    const { sizeBytes, typeTag } = stream
    const mayBeKnown =
      typeTag !== undefined || this.#streamedSizes.has(sizeBytes) || this.#store.index.hasContentOfSize(sizeBytes)
    if (stream.isRepeatable && mayBeKnown) {
      const hasher = artifactHasher(sizeBytes, typeTag)
      stream.each(piece => hasher.update(piece))
      const reference = hasher.reference()
      if (this.#isKnown(reference, referenceDigest(reference))) return reference
    }
    const isRaw = typeTag === undefined
    const block = this.#blocks.startStream(isRaw ? BLOCK_ROLES.raw : BLOCK_ROLES.packed)
    try {
      const hasher = artifactHasher(sizeBytes, typeTag)
      if (!isRaw) {
        block.idIsGiven() // its content is ArtifactBytes, whose hash is the reference
        block.write(encodeArtifactHeader(typeTag, sizeBytes))
      }
      let seenBytes = 0
      stream.each(piece => {
        seenBytes += piece.length
        if (seenBytes > sizeBytes) throw wrongSize(seenBytes, sizeBytes)
        hasher.update(piece)
        block.write(piece)
      })
      if (seenBytes !== sizeBytes) throw wrongSize(seenBytes, sizeBytes)
      const reference = hasher.reference()
      const digest = referenceDigest(reference)
      if (this.#isKnown(reference, digest)) {
        block.abort()
        return reference
      }
      const number = block.finish(isRaw ? undefined : reference.slice(4))
      const totalLength = artifactHeaderSize(typeTag) + sizeBytes
      this.#records.add(digest, { block: number, offset: 0, typeTag, isContent: isRaw, totalLength })
      this.#streamedSizes.add(sizeBytes)
      return reference
    } catch (error) {
      block.abort()
      throw error
    }
  }

  /** @throws AslError STORE_TOMBSTONED when policy or an expired lease forbids to keep it here */
  #isKnown(reference: Reference, digest: Uint8Array): boolean {
    if (this.#records.find(digest) >= 0) return true
    const found = this.#store.index.tryFind(reference)
    if (found === undefined) return false
    if (this.#store.isHidden(found)) {
      this.#overtakeTombstone(reference.slice(4))
      return false
    }
    return this.#trusted.holds(found)
  }

  #overtakeTombstone(digest: string): void {
    const tombstone = this.#store.log.tombstones.get(digest)
    if (tombstone === undefined) return
    const reason = TOMBSTONE_REASONS[tombstone.reason] ?? 'unspecified'
    if (reason === 'policy' || reason === 'lease expired') {
      throw new AslError(
        'STORE_TOMBSTONED',
        `Artifact 0001${digest} was removed from "${this.#store.location}": ${reason}`,
        {
          hint: 'Lift its tombstone first.',
        },
      )
    }
    this.#lifts.set(digest, tombstone.logseq)
  }
}

/** What cannot be read is the source's trouble, not the store's: the batch goes on without it. */
function reading<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new AslError('PATH_NOT_FOUND', `There is no ${name}`, { cause: error })
    throw new AslError('CAPTURE_FAILED', `Cannot read ${name}: ${messageOf(error)}`, { cause: error })
  }
}

/** Reads once, and on until at least `wanted` bytes are there or the file ends. */
function readFully(fd: number, into: Uint8Array, position = 0, wanted = into.length): number {
  let done = 0
  do {
    const got = readSync(fd, into, done, into.length - done, position + done)
    if (got === 0) break
    done += got
  } while (done < wanted)
  return done
}

function changed(name: string, sizeBytes: number): AslError {
  return new AslError(
    'CAPTURE_FAILED',
    `${name} changed while it was read: it had ${sizeBytes} bytes when it was opened`,
    {
      hint: 'Run again when nothing writes to it.',
    },
  )
}

function wrongSize(found: number, announced: number): AslError {
  return new AslError('ARTIFACT_INVALID', `Content has ${found} bytes, ${announced} were announced`)
}
