import type { Reference, TypeTag } from '../core/mod.ts'

/**
 * What the other rooms see of a store. Every implementation (on disk, inside an image, remote, in memory for tests)
 * passes `store.conformance.ts`. Reads are synchronous: they are short, or they come in chunks.
 */
export interface StoreReader {
  /** Where it lies, for messages. */
  readonly location: string
  /** The state that reads see: newest snapshot and log position. Both rise; reads never see half a batch. */
  state(): StoreState
  has(reference: Reference): boolean
  /** `undefined` when the artifact is absent; what is declared absent (see `isDeclaredAbsent`) is absent too. */
  tryStat(reference: Reference): ArtifactStat | undefined
  /** True for content that an image store lists as left out on purpose. */
  isDeclaredAbsent(reference: Reference): boolean
  /**
   * The whole content, verified.
   * @throws AslError STORE_NOT_FOUND, STORE_INTEGRITY, STORE_BLOCK_MISSING, STORE_IO, LIMIT_EXCEEDED above `maxBytes`
   *   (default 1 GiB)
   */
  read(reference: Reference, maxBytes?: number): Buffer
  /**
   * The content in pieces of at most 1 MiB, in constant memory. The digest is checked while they pass; the last step
   * throws STORE_INTEGRITY when it differs, so a consumer keeps nothing until the iteration has ended.
   */
  chunks(reference: Reference): Iterable<Buffer>
  /** Any part of the content, verified by its block where possible; for readers of large images. */
  readRange(reference: Reference, offset: number, sizeBytes: number): Buffer
  /** The file that holds exactly this content, when it is a raw block of a store on disk: to mount, boot or reflink it. */
  tryContentPath(reference: Reference): string | undefined
  /** References that are visible, ascending; with a tag only those that carry it, `null` for untagged content. */
  references(typeTag?: TypeTag | null): Iterable<Reference>
  /** Sees what other processes have committed since. */
  refresh(): void
  close(): void
}

export interface StoreState {
  /** `undefined` before the first snapshot. */
  readonly snapshotId: number | undefined
  readonly logPosition: number
}

export interface ArtifactStat {
  readonly reference: Reference
  readonly typeTag: TypeTag | undefined
  /** Size of the content, without the artifact header. */
  readonly sizeBytes: number
}

/**
 * Adds artifacts in one batch: all of them become visible together at `commit`, or none. Putting what is there
 * already costs a look-up and writes nothing.
 */
export interface StoreWriter {
  put(bytes: Uint8Array, typeTag?: TypeTag): Reference
  /** Content of any size from an open file, in constant memory. @throws AslError CAPTURE_FAILED when it changes size */
  putFile(path: string | Uint8Array): Reference
  /** The same from a descriptor, which stays open; `name` is for messages. */
  putOpenFile(fd: number, name: string): ArtifactStat
  /** Content in pieces whose total size is known. */
  putChunks(chunks: Iterable<Uint8Array>, sizeBytes: number, typeTag?: TypeTag): Reference
  /** Sees the store and what this batch has put. */
  has(reference: Reference): boolean
  commit(): StoreState
  /** Forgets the batch. After `commit` it does nothing. */
  abort(): void
}

export interface Store extends StoreReader {
  /** @throws AslError STORE_LOCKED when another process writes and does not end within `lockWaitMs` */
  openWriter(): StoreWriter
}
