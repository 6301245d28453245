import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { sha256 } from '../../core/mod.ts'
import { memoryStore } from '../../store/mod.ts'
import { checkAptChain } from './apt-chain.ts'
import type { Download } from './download.ts'

const BASE = 'http://mirror.internal/debian/'
const SUITE = `${BASE}dists/trixie/`
const DEB_PATH = 'pool/main/h/hello_1+b1_amd64.deb'

const deb = Buffer.from('a package')
const packages = gzipSync(
  `Package: hello\nFilename: ${DEB_PATH}\nSHA256: ${sha256(deb)}\n\nPackage: other\nFilename: pool/o.deb\nSHA256: ${sha256('o')}\n`,
)
const translation = Buffer.from('Words')

function inRelease(index: Buffer = packages): Buffer {
  const line = (path: string, bytes: Buffer) => ` ${sha256(bytes)} ${bytes.length} ${path}\n`
  const text =
    `Origin: Debian\nDate: Sat, 12 Sep 2026 07:55:41 UTC\nSHA256:\n` +
    line('main/binary-amd64/Packages.gz', index) +
    line('main/i18n/Translation-en', translation)
  return Buffer.from(
    `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${text}-----BEGIN PGP SIGNATURE-----\n\nxx\n-----END PGP SIGNATURE-----\n`,
  )
}

function recorded(files: Readonly<Record<string, Buffer>>, more: Partial<Download> = {}) {
  const store = memoryStore()
  const writer = store.openWriter()
  const downloads = Object.entries(files).map(
    ([url, bytes]): Download => ({
      method: 'GET',
      url,
      status: 200,
      headers: {},
      ref: writer.put(bytes),
      sizeBytes: bytes.length,
      sha256: sha256(bytes),
      upstreamUrl: undefined,
      upstreamHeaders: {},
      via: [],
      ...more,
    }),
  )
  writer.commit()
  return { store, downloads }
}

const shown = ({ links }: Awaited<ReturnType<typeof checkAptChain>>) =>
  links.map(({ url, verifiedBy }) => [url.replace(BASE, ''), verifiedBy.url.replace(BASE, '')])

const PACKAGES_URL = `${SUITE}main/binary-amd64/Packages.gz`
const BY_HASH_URL = `${SUITE}main/binary-amd64/by-hash/SHA256/${sha256(packages)}`

for (const index of [PACKAGES_URL, BY_HASH_URL]) {
  test(`each link is followed: InRelease → ${index.slice(SUITE.length, SUITE.length + 25)} → .deb`, async () => {
    const { store, downloads } = recorded({
      [`${SUITE}InRelease`]: inRelease(),
      [index]: packages,
      [`${SUITE}main/i18n/Translation-en`]: translation,
      [BASE + DEB_PATH]: deb,
      'http://elsewhere/x.deb': deb,
    })
    const chain = await checkAptChain(downloads, store)
    assert.deepEqual(chain.findings, [])
    assert.deepEqual(shown(chain), [
      [index.replace(BASE, ''), 'dists/trixie/InRelease'],
      ['dists/trixie/main/i18n/Translation-en', 'dists/trixie/InRelease'],
      [DEB_PATH, index.replace(BASE, '')],
    ])
  })
}

test('digests that nobody told are read from the store', async () => {
  const { store, downloads } = recorded(
    { [`${SUITE}InRelease`]: inRelease(), [PACKAGES_URL]: packages, [BASE + DEB_PATH]: deb },
    { sha256: undefined },
  )
  assert.equal((await checkAptChain(downloads, store)).links.length, 2)
})

test('a package that is not what its list says is a finding, and no link', async () => {
  const { store, downloads } = recorded({
    [`${SUITE}InRelease`]: inRelease(),
    [PACKAGES_URL]: packages,
    [BASE + DEB_PATH]: Buffer.from('another package'),
  })
  const chain = await checkAptChain(downloads, store)
  assert.deepEqual(
    shown(chain).map(([url]) => url),
    ['dists/trixie/main/binary-amd64/Packages.gz'],
  )
  assert.deepEqual(
    chain.findings.map(({ code, details }) => [code, details?.url]),
    [['DIGEST_MISMATCH', BASE + DEB_PATH]],
  )
})

test('an index that is not what InRelease says vouches for nothing', async () => {
  const { store, downloads } = recorded({
    [`${SUITE}InRelease`]: inRelease(Buffer.from('another index')),
    [PACKAGES_URL]: packages,
    [BASE + DEB_PATH]: deb,
  })
  const chain = await checkAptChain(downloads, store)
  assert.deepEqual([chain.links, chain.findings.map(({ code }) => code)], [[], ['DIGEST_MISMATCH']])
})

test('a by-hash name that the InRelease does not list in that folder gives no link', async () => {
  const { store, downloads } = recorded({
    [`${SUITE}InRelease`]: inRelease(),
    [`${SUITE}main/binary-arm64/by-hash/SHA256/${sha256(packages)}`]: packages,
    [BASE + DEB_PATH]: deb,
  })
  assert.deepEqual(await checkAptChain(downloads, store), { links: [], findings: [] })
})

test('lists that cannot be read are findings', async () => {
  const damaged = Buffer.concat([packages.subarray(0, 30), Buffer.from('damage')])
  const { store, downloads } = recorded({
    [`${SUITE}InRelease`]: inRelease(damaged),
    [PACKAGES_URL]: damaged,
    [`${BASE}dists/bookworm/InRelease`]: Buffer.from('<html>404</html>'),
  })
  const chain = await checkAptChain(downloads, store)
  assert.deepEqual(
    chain.findings.map(({ code }) => code),
    ['FORMAT_INVALID', 'FORMAT_INVALID'],
  )
})
