import { AslError, compareText, decodeJson, encodeJson, type Json, parseSha256, type Sha256 } from '../../core/mod.ts'
import { type Archive, type ExpectedContent, type FetchedFile, packageUrl } from './archive.ts'
import type { BinaryPackage } from './package-index.ts'

/**
 * Everything a build takes from Debian archives, pinned by digest (docs/spec/lock.md). URLs are paths: no lock names a
 * host, so it holds behind every mirror.
 */
export interface DebianLock {
  readonly architecture: string
  /** In the order in which the archives are consulted. */
  readonly suites: readonly LockedSuite[]
  /** Ascending by name. */
  readonly packages: readonly LockedPackage[]
}

export interface LockedFile {
  /** `/debian/dists/trixie/InRelease`: the path of the logical URL. */
  readonly url: string
  readonly sha256: Sha256
  readonly sizeBytes: number
}

export interface LockedSuite {
  readonly suite: string
  readonly inRelease: LockedFile
  /** `Date` of the release, whole seconds since 1970. */
  readonly date: number
  readonly indices: readonly (LockedFile & { readonly component: string })[]
}

export interface LockedPackage extends LockedFile {
  readonly name: string
  readonly version: string
  readonly architecture: string
}

export function lockOf(archive: Archive, packages: readonly BinaryPackage[]): DebianLock {
  return {
    architecture: archive.architecture,
    suites: archive.suites.map(({ source, release, inRelease, indices }) => ({
      suite: source.suite,
      inRelease: lockedFile(inRelease),
      date: release.date,
      indices: indices.map(index => ({ component: index.component, ...lockedFile(index) })),
    })),
    packages: packages
      .map(found => ({
        name: found.name,
        version: found.version,
        architecture: found.architecture,
        ...lockedFile({ ...found, url: packageUrl(found) }),
      }))
      .sort((a, b) => compareText(a.name, b.name)),
  }
}

/** What the lock says of a logical URL, to be given to a fetch as its expectation. */
export function expectationsOf(lock: DebianLock): ReadonlyMap<string, ExpectedContent> {
  const files = [...lock.suites.flatMap(suite => [suite.inRelease, ...suite.indices]), ...lock.packages]
  return new Map(files.map(({ url, sha256, sizeBytes }) => [url, { sha256, sizeBytes }]))
}

export interface LockDifference {
  readonly name: string
  /** `undefined` when the package is new. */
  readonly before: string | undefined
  /** `undefined` when the package is gone. */
  readonly after: string | undefined
}

/** Packages that came, went or changed, ascending by name: what `asl update` shows. */
export function diffLocks(before: DebianLock, after: DebianLock): LockDifference[] {
  const old = new Map(before.packages.map(locked => [locked.name, locked]))
  const fresh = new Map(after.packages.map(locked => [locked.name, locked]))
  return [...new Set([...old.keys(), ...fresh.keys()])]
    .sort(compareText)
    .filter(name => old.get(name)?.sha256 !== fresh.get(name)?.sha256)
    .map(name => ({ name, before: old.get(name)?.version, after: fresh.get(name)?.version }))
}

export function encodeLock(lock: DebianLock): Buffer {
  return encodeJson({
    kind: KIND,
    v: REVISION,
    architecture: lock.architecture,
    suites: lock.suites.map(({ suite, date, inRelease, indices }) => ({
      suite,
      date,
      in_release: fileToJson(inRelease),
      indices: indices.map(index => ({ component: index.component, ...fileToJson(index) })),
    })),
    packages: lock.packages.map(locked => ({
      name: locked.name,
      version: locked.version,
      architecture: locked.architecture,
      ...fileToJson(locked),
    })),
  })
}

/** @throws AslError JSON_NOT_CANONICAL, RECORD_INVALID; a lock file may have been edited by hand or by a merge */
export function parseLock(bytes: Uint8Array): DebianLock {
  const lock = asObject(decodeJson(bytes), '$', ['kind', 'v', 'architecture', 'suites', 'packages'])
  if (lock.kind !== KIND || lock.v !== REVISION) {
    throw invalid('$', `is ${String(lock.kind)} revision ${String(lock.v)}, this program knows ${KIND} ${REVISION}`)
  }
  const packages = asList(lock.packages, '$.packages').map((value, i) => {
    const path = `$.packages[${i}]`
    const locked = asObject(value, path, ['name', 'version', 'architecture', ...FILE_KEYS])
    const { name, version, architecture } = locked
    return {
      name: asText(name, `${path}.name`),
      version: asText(version, `${path}.version`),
      architecture: asText(architecture, `${path}.architecture`),
      ...fileFromJson(locked, path),
    }
  })
  for (let i = 1; i < packages.length; i++) {
    if (compareText(packages[i - 1]?.name ?? '', packages[i]?.name ?? '') >= 0) {
      throw invalid(`$.packages[${i}].name`, 'is not in ascending order')
    }
  }
  return {
    architecture: asText(lock.architecture, '$.architecture'),
    suites: asList(lock.suites, '$.suites').map(suiteFromJson),
    packages,
  }
}

const KIND = 'asl.debian-lock'
const REVISION = 1
const FILE_KEYS = ['url', 'sha256', 'size_bytes'] as const

function lockedFile(file: Pick<FetchedFile, 'url' | 'sha256' | 'sizeBytes'>): LockedFile {
  return { url: new URL(file.url).pathname, sha256: file.sha256, sizeBytes: file.sizeBytes }
}

function suiteFromJson(value: Json | undefined, i: number): LockedSuite {
  const path = `$.suites[${i}]`
  const suite = asObject(value, path, ['suite', 'date', 'in_release', 'indices'])
  return {
    suite: asText(suite.suite, `${path}.suite`),
    date: asWhole(suite.date, `${path}.date`),
    inRelease: fileFromJson(asObject(suite.in_release, `${path}.in_release`, FILE_KEYS), `${path}.in_release`),
    indices: asList(suite.indices, `${path}.indices`).map((entry, j) => {
      const indexPath = `${path}.indices[${j}]`
      const index = asObject(entry, indexPath, ['component', ...FILE_KEYS])
      return { component: asText(index.component, `${indexPath}.component`), ...fileFromJson(index, indexPath) }
    }),
  }
}

function fileToJson(file: LockedFile): { url: string; sha256: string; size_bytes: number } {
  return { url: file.url, sha256: file.sha256, size_bytes: file.sizeBytes }
}

type JsonObject = { readonly [key: string]: Json | undefined }

function fileFromJson(file: JsonObject, path: string): LockedFile {
  const url = asText(file.url, `${path}.url`)
  if (!url.startsWith('/')) throw invalid(`${path}.url`, 'is no path: a lock names no host')
  return {
    url,
    sha256: parseSha256(asText(file.sha256, `${path}.sha256`)),
    sizeBytes: asWhole(file.size_bytes, `${path}.size_bytes`),
  }
}

function asObject(value: Json | undefined, path: string, keys: readonly string[]): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(path, 'is no object')
  const object = value as JsonObject
  for (const key of Object.keys(object)) if (!keys.includes(key)) throw invalid(`${path}.${key}`, 'is not known')
  for (const key of keys) if (object[key] === undefined) throw invalid(`${path}.${key}`, 'is missing')
  return object
}

function asList(value: Json | undefined, path: string): readonly Json[] {
  if (!Array.isArray(value)) throw invalid(path, 'is no list')
  return value as readonly Json[]
}

function asText(value: Json | undefined, path: string): string {
  if (typeof value !== 'string' || value === '') throw invalid(path, 'is no text')
  return value
}

function asWhole(value: Json | undefined, path: string): number {
  if (typeof value !== 'number' || value < 0) throw invalid(path, 'is no whole number')
  return value
}

function invalid(path: string, reason: string): AslError {
  return new AslError('RECORD_INVALID', `Lock file: ${path} ${reason}`, {
    hint: "Lock files are written by 'asl update', not by hand.",
  })
}
