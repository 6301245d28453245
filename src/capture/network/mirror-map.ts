import { AslError } from '../../core/mod.ts'
import { encodedFileUrl, plainFileUrl } from './request-url.ts'

/** A base URL that a step sees, and the configured place it is fetched from. */
export interface Mirror {
  /** What the step asks for and what is recorded: `http://mirror.internal/debian/`. The same on every builder. */
  readonly logical: string
  /** Where it comes from: `https://mirror.example/debian/`. May carry `user:password@`, which is never recorded. */
  readonly upstream: string
  /**
   * Response headers (lower case) that every mirror of these files is known to send alike, so that they may reach the
   * step and its receipt. None by default: etag, last-modified and content-type differ from mirror to mirror.
   */
  readonly headers?: readonly string[]
}

export interface MirrorMap {
  /** `undefined` for a host that is no logical one. @throws AslError NETWORK_REFUSED below a logical host, unmapped */
  tryUpstream(url: URL): MirroredUrl | undefined
}

export interface MirroredUrl {
  /** The URL that was asked for, in the one spelling that is recorded. */
  readonly url: URL
  readonly upstream: URL
  readonly mirror: Mirror
}

/** @throws AslError CONFIG_INVALID for a base that is not an http or https URL, or two of one logical base */
export function mirrorMap(mirrors: readonly Mirror[]): MirrorMap {
  const rows = mirrors
    .map(mirror => ({ mirror, logical: parseBase(mirror.logical), upstream: parseBase(mirror.upstream) }))
    .sort((a, b) => b.logical.href.length - a.logical.href.length)
  const bases = new Set(rows.map(row => row.logical.href))
  if (bases.size !== rows.length) throw new AslError('CONFIG_INVALID', 'Two mirrors are given for one logical URL')
  const hosts = new Set(rows.map(row => row.logical.host))
  return {
    tryUpstream(url) {
      if (!hosts.has(url.host)) return undefined
      const row = rows.find(({ logical }) => url.href.startsWith(logical.href))
      if (row === undefined) {
        throw new AslError('NETWORK_REFUSED', `Refused ${url.href}: no mirror is configured for it`, {
          hint: `Configured below ${url.host}: ${[...bases].filter(base => new URL(base).host === url.host).join(' ')}`,
          details: { host: url.host },
        })
      }
      const plain = plainFileUrl(url)
      const upstream = encodedFileUrl(new URL(row.upstream.href + plain.href.slice(row.logical.href.length)))
      return { url: plain, upstream, mirror: row.mirror }
    },
  }
}

function parseBase(text: string): URL {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    throw new AslError('CONFIG_INVALID', `Not a base URL of a mirror: "${text}"`, {
      hint: 'Give an http or https URL, as http://mirror.example/debian/.',
    })
  }
  const url = new URL(text)
  url.search = ''
  url.hash = ''
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}
