import { AslError, parseSha256, type Sha256 } from '../core/mod.ts'
import { type Paragraph, parseParagraph, requireField } from './deb822.ts'

/** A `Release` file of a Debian archive: what a suite is, and the digests of its indices. */
export interface DebianRelease {
  readonly origin: string | undefined
  readonly label: string | undefined
  readonly suite: string | undefined
  readonly codename: string | undefined
  readonly version: string | undefined
  /** Whole seconds since 1970. */
  readonly date: number
  readonly validUntil: number | undefined
  readonly architectures: readonly string[]
  /** As written; the security archive puts `updates/` before them, which is no part of any path. */
  readonly components: readonly string[]
  /** Every index also lies under `by-hash/SHA256/DIGEST`, which does not change while the suite is updated. */
  readonly hasByHash: boolean
  /** Path below the folder of the suite → digest and size. */
  readonly files: ReadonlyMap<string, ReleaseFile>
}

export interface ReleaseFile {
  readonly sha256: Sha256
  readonly sizeBytes: number
}

/** @throws AslError FORMAT_INVALID */
export function parseDebianRelease(bytes: Uint8Array | string, name: string): DebianRelease {
  const paragraph = parseParagraph(bytes, name)
  const validUntil = paragraph.get('valid-until')
  return {
    origin: paragraph.get('origin'),
    label: paragraph.get('label'),
    suite: paragraph.get('suite'),
    codename: paragraph.get('codename'),
    version: paragraph.get('version'),
    date: parseDate(requireField(paragraph, 'date', name), name),
    validUntil: validUntil === undefined ? undefined : parseDate(validUntil, name),
    architectures: words(paragraph, 'architectures'),
    components: words(paragraph, 'components'),
    hasByHash: paragraph.get('acquire-by-hash') === 'yes',
    files: parseFiles(requireField(paragraph, 'sha256', name), name),
  }
}

function words(paragraph: Paragraph, field: string): string[] {
  return (paragraph.get(field) ?? '').split(/\s+/).filter(word => word !== '')
}

/** `Sat, 12 Sep 2026 07:55:41 UTC`: the only form the archive writes (RFC 2822 with a UTC zone). */
function parseDate(text: string, name: string): number {
  const milliseconds = /^\w{3}, +\d{1,2} \w{3} \d{4} \d{2}:\d{2}:\d{2} (UTC|GMT|\+0000)$/.test(text)
    ? Date.parse(text.replace(/(UTC|\+0000)$/, 'GMT'))
    : Number.NaN
  if (Number.isNaN(milliseconds))
    throw new AslError('FORMAT_INVALID', `${name}: "${text.slice(0, 60)}" is no date in UTC`)
  return milliseconds / 1000
}

function parseFiles(value: string, name: string): Map<string, ReleaseFile> {
  const files = new Map<string, ReleaseFile>()
  for (const line of value.split('\n')) {
    if (line.trim() === '') continue
    const [digest, size, path, ...rest] = line.trim().split(/\s+/)
    if (
      digest === undefined ||
      size === undefined ||
      path === undefined ||
      rest.length > 0 ||
      !/^\d{1,15}$/.test(size)
    ) {
      throw new AslError('FORMAT_INVALID', `${name}: "${line.slice(0, 100)}" is no line of a SHA256 list`)
    }
    files.set(path, { sha256: parseSha256(digest), sizeBytes: Number(size) })
  }
  return files
}
