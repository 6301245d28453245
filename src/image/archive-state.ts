import { AslError, encodeJson, type InputEntry, type Reference, type Sha256, sha256 } from '../core/mod.ts'
import { parseDebianRelease } from '../formats/mod.ts'
import type { StoreWriter } from '../store/mod.ts'
import type { ArchiveSource, FetchArtifact } from './debian/archive.ts'
import { type Keyring, verifyClearsigned } from './debian/release-signature.ts'

/** What the suites of an archive say of themselves at one moment: everything else follows from these files. */
export interface ArchiveState {
  readonly suites: readonly SuiteState[]
}

export interface SuiteState {
  readonly suite: string
  /** Logical URL of its InRelease. */
  readonly url: string
  readonly ref: Reference
  readonly sha256: Sha256
  readonly sizeBytes: number
  /** `Date` of the release, seconds since 1970. */
  readonly date: number
}

/**
 * Asks each suite for its InRelease and verifies who signed it.
 * @throws AslError NETWORK_UNREACHABLE, PACKAGE_NOT_FOUND for a suite that the archive does not have, SIG_INVALID
 */
export async function fetchArchiveState(
  sources: readonly ArchiveSource[],
  keyring: Keyring,
  fetch: FetchArtifact,
): Promise<ArchiveState> {
  const suites: SuiteState[] = []
  for (const { baseUrl, suite } of sources) {
    const url = `${baseUrl}/dists/${suite}/InRelease`
    const fetched = await fetch(url)
    if (fetched === undefined) {
      throw new AslError('PACKAGE_NOT_FOUND', `The archive has no suite "${suite}"`, { hint: `Asked for ${url}` })
    }
    const bytes = Buffer.concat([...fetched.chunks()])
    const signed = await verifyClearsigned(bytes, keyring, url)
    const { date } = parseDebianRelease(signed.text, url)
    suites.push({ suite, url, ref: fetched.reference, sha256: sha256(bytes), sizeBytes: bytes.length, date })
  }
  return { suites }
}

/** The state as an input of every step that asks the archive: another state is another step. */
export function archiveStateInput(state: ArchiveState, writer: StoreWriter): InputEntry {
  const bytes = encodeJson({
    suites: state.suites.map(({ suite, url, sha256: digest, date }) => ({ suite, url, sha256: digest, date })),
  })
  return { name: 'archive.json', role: 'lock', ref: writer.put(bytes), size: bytes.length }
}
