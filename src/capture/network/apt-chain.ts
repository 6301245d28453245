import { AslError, isAslError, type Reference, type Sha256, sha256Stream } from '../../core/mod.ts'
import {
  compressionOf,
  type DebianRelease,
  decompress,
  parseDebianRelease,
  readParagraphs,
  requireField,
} from '../../formats/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { cleartextOf } from './cleartext.ts'
import type { Download } from './download.ts'

/** A file that a list vouches for, and the list. */
export interface AptLink {
  readonly url: string
  readonly ref: Reference
  readonly verifiedBy: { readonly url: string; readonly ref: Reference }
}

export interface AptChain {
  /** Index ← InRelease, package ← index; in the order of the downloads. */
  readonly links: readonly AptLink[]
  /** DIGEST_MISMATCH: a file is not what its list says. FORMAT_INVALID: a list cannot be read. */
  readonly findings: readonly AslError[]
}

type Download200 = Download & { readonly sha256: Sha256 }

/** What a list says of a URL. */
interface Listed {
  readonly by: Download200
  readonly sha256: Sha256
}

const MAX_RELEASE_SIZE_BYTES = 16 * 1024 * 1024
const PACKAGE_FIELDS = new Set(['filename', 'sha256'])

/**
 * Follows apt's chain through the responses of a step: `InRelease` lists the digests of indices, also under `by-hash`;
 * a `Packages` that it lists gives those of packages. The first link, archive key → InRelease, is not looked at here:
 * it needs a keyring, and whoever has one checks it.
 * @throws AslError STORE_IO, STORE_INTEGRITY when the store cannot be read
 */
export async function checkAptChain(downloads: readonly Download[], store: StoreReader): Promise<AptChain> {
  const links: AptLink[] = []
  const findings: AslError[] = []
  const files = downloads
    .filter(({ method, status }) => method === 'GET' && status === 200)
    .map(download => ({ ...download, sha256: download.sha256 ?? sha256Of(download, store) }))
  const check = (file: Download200, listed: Listed | undefined): boolean => {
    if (listed === undefined) return false
    if (file.sha256 !== listed.sha256) {
      findings.push(mismatch(file, listed))
      return false
    }
    links.push({ url: file.url, ref: file.ref, verifiedBy: { url: listed.by.url, ref: listed.by.ref } })
    return true
  }
  for (const release of files.filter(({ url }) => url.endsWith('/InRelease'))) {
    await orFinding(findings, async () => {
      const inRelease = parseDebianRelease(cleartextOf(store.read(release.ref, MAX_RELEASE_SIZE_BYTES)), release.url)
      const folder = release.url.slice(0, -'InRelease'.length)
      const base = archiveBase(folder)
      const packages = new Map(files.filter(({ url }) => url.endsWith('.deb')).map(file => [file.url, file]))
      for (const index of files.filter(({ url }) => url.startsWith(folder))) {
        const path = index.url.slice(folder.length)
        const listed = listedInRelease(inRelease, path, release)
        if (!check(index, listed?.listed) || base === undefined || listed === undefined) continue
        if (!/(^|\/)Packages(\.[a-z0-9]+)?$/.test(listed.path)) continue
        await orFinding(findings, async () => {
          for await (const [url, sha256] of packagesOf(index, listed.path, base, store)) {
            const file = packages.get(url)
            if (file !== undefined) check(file, { by: index, sha256 })
          }
        })
      }
    })
  }
  const position = new Map(files.map(({ url }, i) => [url, i]))
  links.sort((a, b) => (position.get(a.url) ?? 0) - (position.get(b.url) ?? 0))
  return { links, findings }
}

/** `…/by-hash/SHA256/DIGEST` is that file of the same folder which has the digest. */
function listedInRelease(
  { files }: DebianRelease,
  path: string,
  by: Download200,
): { readonly path: string; readonly listed: Listed } | undefined {
  const byHash = /^(.*\/)?by-hash\/SHA256\/([0-9a-f]{64})$/.exec(path)
  if (byHash === null) {
    const file = files.get(path)
    return file && { path, listed: { by, sha256: file.sha256 } }
  }
  const [, folder = '', digest] = byHash
  for (const [name, { sha256 }] of files) {
    if (sha256 === digest && name.slice(0, name.lastIndexOf('/') + 1) === folder) {
      return { path: name, listed: { by, sha256 } }
    }
  }
  return undefined
}

async function* packagesOf(
  index: Download200,
  path: string,
  base: string,
  store: StoreReader,
): AsyncGenerator<[url: string, sha256: Sha256]> {
  const compression = compressionOf(path)
  if (compression === undefined) return
  const content = decompress(compression, store.chunks(index.ref), index.url)
  for await (const paragraph of readParagraphs(content, index.url, { fields: PACKAGE_FIELDS })) {
    yield [
      base + requireField(paragraph, 'filename', index.url),
      requireField(paragraph, 'sha256', index.url) as Sha256,
    ]
  }
}

/** `http://host/debian/dists/trixie/` → `http://host/debian/`. */
function archiveBase(suiteFolder: string): string | undefined {
  const at = suiteFolder.lastIndexOf('/dists/')
  return at < 0 ? undefined : suiteFolder.slice(0, at + 1)
}

/** A list that cannot be read vouches for nothing, and is named. */
async function orFinding(findings: AslError[], read: () => Promise<void>): Promise<void> {
  try {
    await read()
  } catch (error) {
    if (!isAslError(error, 'FORMAT_INVALID', 'LIMIT_EXCEEDED', 'REF_INVALID')) throw error
    findings.push(error)
  }
}

function mismatch(file: Download200, { by, sha256 }: Listed): AslError {
  return new AslError('DIGEST_MISMATCH', `${file.url} has sha256 ${file.sha256}; ${by.url} lists ${sha256}`, {
    hint: 'The mirror is in the middle of an update, or lies. Try again later, or another mirror.',
    details: { url: file.url, found: file.sha256, wanted: sha256, listedBy: by.url },
  })
}

function sha256Of({ ref }: Download, store: StoreReader): Sha256 {
  const hash = sha256Stream()
  for (const piece of store.chunks(ref)) hash.update(piece)
  return hash.digest()
}
