import type { Reference } from '../core/mod.ts'
import type { BytePath } from './byte-path.ts'

/**
 * What lineage has to read inside artifacts, in formats that are not its own: packages and archives, the archive's
 * package lists, its signatures. Passed in, so that tests give small ones and the programs the real readers.
 */
export interface ArchiveReaders {
  /**
   * Opens a Debian package or tarball and lists its members. `undefined` when the artifact is none of these.
   * @throws AslError FORMAT_INVALID, ARCHIVE_HOSTILE when it is one and cannot be read
   */
  openArchive(input: NamedArtifact): Promise<Archive | undefined>
  /** The packages that a `Packages` file lists, whatever its compression. @throws AslError FORMAT_INVALID */
  packagesIndex(input: NamedArtifact): AsyncIterable<IndexedPackage> | Iterable<IndexedPackage>
  /** Checks the signature of an `InRelease` file against keyrings. */
  verifyRelease(signed: Uint8Array, keyrings: readonly Keyring[]): Promise<SignedRelease>
}

export interface NamedArtifact {
  readonly ref: Reference
  /** As the input manifest names it: a URL or a path. */
  readonly name: string
}

export interface Archive {
  /** What its control file says; absent for a plain tarball. */
  readonly package?: PackageIdentity
  readonly members: readonly ArchiveMember[]
}

export interface PackageIdentity {
  readonly name: string
  readonly version: string
  readonly architecture: string
}

export interface ArchiveMember {
  /** `control` members end up below `/var/lib/dpkg/info`. */
  readonly part: 'data' | 'control'
  readonly path: BytePath
  /** Content of a regular file, also of a hard link to one. */
  readonly ref?: Reference
  /** Of a symbolic link, one character per byte. */
  readonly target?: string
}

export interface IndexedPackage extends PackageIdentity {
  /** Path below the archive's root. */
  readonly filename: string
  readonly sha256: string
}

export interface Keyring {
  /** Where it lies, for messages. */
  readonly path: string
  readonly bytes: Uint8Array
}

export interface SignedRelease {
  /** What was signed, and nothing that stands around it. */
  readonly text: string
  readonly signature: ReleaseSignature
}

export type ReleaseSignature = VerifiedSignature | UnverifiedSignature

export interface VerifiedSignature {
  readonly isVerified: true
  /** Of the key that signed, upper-case hex. */
  readonly fingerprint: string
  readonly userId: string
  /** Path of the keyring that held it. */
  readonly keyring: string
}

export interface UnverifiedSignature {
  readonly isVerified: false
  /** Key ids that the signatures claim, upper-case hex. */
  readonly keyIds: readonly string[]
  readonly reason: string
}
