import { hash } from 'node:crypto'
import { readSync } from 'node:fs'
import {
  artifactHasher,
  encodeArtifactHeader,
  type InputRole,
  type Reference,
  referenceFromDigest,
  UNTAGGED_HEADER_SIZE_BYTES,
} from '../../core/mod.ts'
import { type FileFacts, writeAll } from '../../sys/mod.ts'
import type { DigestCache } from './digest-cache.ts'

/** Content of a regular file as it was at one moment. */
export interface SeenContent {
  readonly ref: Reference
  readonly sizeBytes: number
  readonly role: ContentRole
  /** Equal as long as nobody changes the file. */
  readonly identity: Buffer
  readonly mode: number
  /** True when the bytes are safe whatever happens to the file: in the spool, or in the store as the cache says. */
  readonly isKept: boolean
  readonly spoolOffset?: number
}

export type ContentRole = Extract<InputRole, 'file' | 'script' | 'binary' | 'package'>

/** Whether the bytes are copied to the spool: always, or only when they are few and not in the store already. */
export type Keep = 'always' | 'if-small'

export interface ContentSource {
  /**
   * Reads an open file from its start; the descriptor's position does not matter.
   * @returns `undefined` when it changed while it was read
   */
  see(fd: number, facts: FileFacts, keep: Keep): SeenContent | undefined
}

/** Most that is copied without need: the content of nearly every file of a system, and one read. */
export const SMALL_SIZE_BYTES = 1024 * 1024

export interface ContentSourceOptions {
  readonly spoolFd: number
  readonly cache: DigestCache
  readonly factsOf: (fd: number) => FileFacts
}

export function openContentSource({ spoolFd, cache, factsOf }: ContentSourceOptions): ContentSource {
  let spoolSizeBytes = 0
  const buffer = Buffer.allocUnsafe(UNTAGGED_HEADER_SIZE_BYTES + SMALL_SIZE_BYTES)
  const body = buffer.subarray(UNTAGGED_HEADER_SIZE_BYTES)
  const spool = (bytes: Uint8Array): void => {
    writeAll(spoolFd, bytes)
    spoolSizeBytes += bytes.length
  }
  const seeSmall = (fd: number, facts: FileFacts): SeenContent | undefined => {
    const size = facts.sizeBytes
    if (readFull(fd, body.subarray(0, size), 0) !== size) return undefined
    encodeArtifactHeader(undefined, size).copy(buffer)
    const digest = hash('sha256', buffer.subarray(0, UNTAGGED_HEADER_SIZE_BYTES + size), 'buffer')
    const spoolOffset = spoolSizeBytes
    spool(body.subarray(0, size))
    return {
      ...base(facts),
      ref: referenceFromDigest(digest),
      role: contentRole(body.subarray(0, size)),
      isKept: true,
      spoolOffset,
    }
  }
  const seeLarge = (fd: number, facts: FileFacts, keep: Keep): SeenContent | undefined => {
    const size = facts.sizeBytes
    const hasher = artifactHasher(size)
    const spoolOffset = spoolSizeBytes
    let role: ContentRole = 'file'
    for (let at = 0; at < size; ) {
      const chunk = body.subarray(0, Math.min(body.length, size - at))
      if (readFull(fd, chunk, at) !== chunk.length) return undefined
      if (at === 0) role = contentRole(chunk)
      hasher.update(chunk)
      if (keep === 'always') spool(chunk)
      at += chunk.length
    }
    const seen = { ...base(facts), ref: hasher.reference(), role }
    return keep === 'always' ? { ...seen, isKept: true, spoolOffset } : { ...seen, isKept: false }
  }
  return {
    see(fd, facts, keep) {
      const known = cache.tryGet(facts.identity)
      if (known !== undefined) {
        const head = body.subarray(0, Math.min(HEAD_SIZE_BYTES, facts.sizeBytes))
        readFull(fd, head, 0)
        return { ...base(facts), ref: known, role: contentRole(head), isKept: true }
      }
      const seen = facts.sizeBytes <= SMALL_SIZE_BYTES ? seeSmall(fd, facts) : seeLarge(fd, facts, keep)
      return factsOf(fd).identity.equals(facts.identity) ? seen : undefined
    },
  }
}

function base(facts: FileFacts): Pick<SeenContent, 'sizeBytes' | 'identity' | 'mode'> {
  return { sizeBytes: facts.sizeBytes, identity: facts.identity, mode: facts.mode }
}

const HEAD_SIZE_BYTES = 32

/** What the first bytes say; a Debian package is an ar archive whose first member is `debian-binary`. */
export function contentRole(head: Buffer): ContentRole {
  if (head.length >= 4 && head.readUInt32BE(0) === 0x7f454c46) return 'binary'
  if (head.length >= 2 && head[0] === 0x23 && head[1] === 0x21) return 'script'
  if (head.toString('latin1', 0, 21) === '!<arch>\ndebian-binary') return 'package'
  return 'file'
}

function readFull(fd: number, into: Buffer, position: number): number {
  let done = 0
  while (done < into.length) {
    const size = readSync(fd, into, done, into.length - done, position + done)
    if (size === 0) break
    done += size
  }
  return done
}
