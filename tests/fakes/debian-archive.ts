/** A small Debian archive in memory: packages, indices, signed releases, and a fetch that serves them. */
import { gzipSync } from 'node:zlib'
import { createCleartextMessage, generateKey, type PrivateKey, sign } from 'openpgp'
import { type Sha256, sha256 } from '../../src/core/mod.ts'
import type { FetchArtifact } from '../../src/image/mod.ts'
import type { Store } from '../../src/store/mod.ts'
import { debBytes, type TarMember } from './archive-builder.ts'

export const FAKE_BASE = 'http://archive.test/debian'

export interface FakePackage {
  readonly name: string
  readonly version?: string
  readonly fields?: Readonly<Record<string, string>>
  readonly data?: readonly TarMember[]
  readonly controlMembers?: readonly TarMember[]
}

export interface FakeArchive {
  /** URL → content; a test may change or delete it. */
  readonly files: Map<string, Buffer>
  readonly publicKey: string
  /** Every URL that was asked for. */
  readonly requests: string[]
  fetchInto(store: Store): FetchArtifact
}

export interface FakeArchiveOptions {
  readonly suite?: string
  readonly packages: readonly FakePackage[]
  readonly release?: Readonly<Record<string, string>>
}

/** When the releases are signed; the key is older. */
export const FAKE_DATE = new Date('2026-09-12T07:55:41Z')

export async function fakeArchive(options: FakeArchiveOptions): Promise<FakeArchive> {
  const { suite = 'trixie' } = options
  const files = new Map<string, Buffer>()
  const stanzas = options.packages.map(({ name, version = '1.0-1', fields = {}, data = [], controlMembers = [] }) => {
    const control = { Package: name, Version: version, Architecture: 'amd64', ...fields }
    const bytes = debBytes({ control, data, controlMembers })
    const path = `pool/main/${name[0]}/${name}/${name}_${version}_amd64.deb`
    files.set(`${FAKE_BASE}/${path}`, bytes)
    const listed = { ...control, Filename: path, Size: String(bytes.length), SHA256: sha256(bytes) }
    return Object.entries(listed)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join('')
  })
  const packages = gzipSync(stanzas.join('\n'))
  const digest: Sha256 = sha256(packages)
  const folder = `${FAKE_BASE}/dists/${suite}`
  files.set(`${folder}/main/binary-amd64/by-hash/SHA256/${digest}`, packages)
  const release = {
    Origin: 'Fake',
    Suite: 'stable',
    Codename: suite,
    Date: 'Sat, 12 Sep 2026 07:55:41 UTC',
    'Acquire-By-Hash': 'yes',
    Architectures: 'all amd64',
    Components: 'main',
    ...options.release,
    SHA256: `\n ${digest} ${packages.length} main/binary-amd64/Packages.gz`,
  }
  const text = Object.entries(release)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('')
  const key = await fakeKey()
  files.set(`${folder}/InRelease`, Buffer.from(await signed(text, key)))
  const requests: string[] = []
  return {
    files,
    requests,
    publicKey: key.toPublic().armor(),
    fetchInto: store => async url => {
      requests.push(url)
      const content = files.get(url)
      if (content === undefined) return undefined
      const writer = store.openWriter()
      const reference = writer.put(content)
      writer.commit()
      return { reference, sizeBytes: content.length, chunks: () => store.chunks(reference) }
    },
  }
}

export async function fakeKey(): Promise<PrivateKey> {
  const { privateKey } = await generateKey({
    userIDs: [{ name: 'Fake archive', email: 'fake@archive.test' }],
    date: new Date('2026-01-01T00:00:00Z'),
    format: 'object',
  })
  return privateKey
}

export async function signed(text: string, key: PrivateKey): Promise<string> {
  const message = await createCleartextMessage({ text })
  return sign({ message, signingKeys: key, date: FAKE_DATE })
}
