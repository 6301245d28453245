import { closeSync, constants, openSync } from 'node:fs'
import type { ArtifactStat, StoreWriter } from '../../store/mod.ts'
import type { Clock, FileFacts } from '../../sys/mod.ts'
import type { DigestCache } from './digest-cache.ts'

/** The clock of file systems is coarser than ours by up to a tick of 10 ms; twice that is clearly older. */
const TICK_NS = 20_000_000n

/** A writer that does not read files again whose content the cache knows and the store has. */
export function cachingWriter(
  writer: StoreWriter,
  cache: DigestCache,
  factsOf: (fd: number) => FileFacts,
  clock: Clock,
): StoreWriter {
  const putOpenFile = (fd: number, name: string): ArtifactStat => {
    const startNs = BigInt(Math.floor(clock.nowMs())) * 1_000_000n
    const facts = factsOf(fd)
    const known = cache.tryGet(facts.identity)
    if (known !== undefined && writer.has(known)) {
      return { reference: known, typeTag: undefined, sizeBytes: facts.sizeBytes }
    }
    const stat = writer.putOpenFile(fd, name)
    // A file that changed within one tick of its last time stamp could change again without showing it.
    const isSettled = facts.changeNs + TICK_NS < startNs && factsOf(fd).identity.equals(facts.identity)
    if (isSettled) cache.add(facts.identity, stat.reference)
    return stat
  }
  return {
    put: (bytes, typeTag) => writer.put(bytes, typeTag),
    putChunks: (chunks, sizeBytes, typeTag) => writer.putChunks(chunks, sizeBytes, typeTag),
    has: reference => writer.has(reference),
    commit: () => writer.commit(),
    abort: () => writer.abort(),
    putOpenFile,
    putFile(path) {
      const fd = openSync(path as string | Buffer, constants.O_RDONLY)
      try {
        return putOpenFile(fd, Buffer.from(path as Uint8Array).toString()).reference
      } finally {
        closeSync(fd)
      }
    },
  }
}
