import { createHash } from 'node:crypto'
import { AslError, type InputEntry } from '../core/mod.ts'
import type { FetchArtifact } from './debian/archive.ts'

/** Inside receipts the npm registry always has this name. */
export const LOGICAL_REGISTRY = 'http://npm.internal'

interface LockedPackage {
  readonly version: string
  /** `sha512-<base64>`. */
  readonly integrity: string
}

/** The packages of `package-lock.json`, by name. @throws AslError CONFIG_INVALID */
export function readPackageLock(bytes: Uint8Array): ReadonlyMap<string, LockedPackage> {
  const lock = JSON.parse(Buffer.from(bytes).toString('utf8')) as {
    readonly packages?: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>
  }
  const packages = new Map<string, LockedPackage>()
  for (const [path, { version, integrity }] of Object.entries(lock.packages ?? {})) {
    const name = path.split('node_modules/').at(-1) ?? ''
    if (path !== '' && version !== undefined && integrity !== undefined) packages.set(name, { version, integrity })
  }
  return packages
}

/**
 * Gets the tarball of a locked package and checks it against the lock.
 * @returns the tarball as a declared input, named by its logical URL
 * @throws AslError PACKAGE_NOT_FOUND when the lock or the registry has none; DIGEST_MISMATCH
 */
export async function fetchNpmPackage(
  name: string,
  lock: ReadonlyMap<string, LockedPackage>,
  fetch: FetchArtifact,
): Promise<InputEntry> {
  const locked = lock.get(name)
  if (locked === undefined) {
    throw new AslError('PACKAGE_NOT_FOUND', `package-lock.json does not lock ${name}`, {
      hint: `Run 'npm install --save-exact ${name}'.`,
    })
  }
  const url = `${LOGICAL_REGISTRY}/${name}/-/${name.split('/').at(-1)}-${locked.version}.tgz`
  const fetched = await fetch(url)
  if (fetched === undefined) {
    throw new AslError('PACKAGE_NOT_FOUND', `The npm registry has no ${name} ${locked.version}`)
  }
  const [algorithm = '', wanted = ''] = locked.integrity.split('-', 2)
  const hash = createHash(algorithm)
  for (const chunk of fetched.chunks()) hash.update(chunk)
  const found = hash.digest('base64')
  if (found !== wanted) {
    throw new AslError('DIGEST_MISMATCH', `${url} has ${algorithm} ${found}, package-lock.json wants ${wanted}`)
  }
  return { name: url, role: 'download', ref: fetched.reference, size: fetched.sizeBytes }
}
