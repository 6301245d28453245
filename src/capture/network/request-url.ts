import { AslError } from '../../core/mod.ts'

/** Longest URL that is looked at. */
const MAX_URL_LENGTH = 8192

export interface RequestTarget {
  /** Normalised by the URL standard, without fragment and user: what a response is recorded under, once redacted. */
  readonly url: URL
  /** `user:password@` as a header, when the URL carried them. */
  readonly authorization: string | undefined
}

/**
 * The target of a request to a proxy: an absolute URL. Normalising resolves `..`, so no path climbs out of a mirror.
 * @throws AslError REQUEST_INVALID
 */
export function parseTarget(text: string): RequestTarget {
  if (text.length > MAX_URL_LENGTH) throw invalid(text, `it has ${text.length} characters, at most ${MAX_URL_LENGTH}`)
  if (!/^https?:\/\//i.test(text)) throw invalid(text, 'a proxy wants an absolute http or https URL')
  if (!URL.canParse(text)) throw invalid(text, 'it is not a URL')
  const url = new URL(text)
  const { username, password } = url
  url.username = ''
  url.password = ''
  url.hash = ''
  url.pathname = decodeOctets(url.pathname, UNRESERVED)
  const user = username === '' && password === '' ? undefined : `${decode(username)}:${decode(password)}`
  return {
    url,
    authorization: user === undefined ? undefined : `Basic ${Buffer.from(user).toString('base64')}`,
  }
}

/** Written plainly or encoded, they mean the same (RFC 3986 §2.3)… */
const UNRESERVED = /[A-Za-z0-9._~-]/
/** …and in the name of a file these do too (§3.3). */
const PATH_CHARACTER = /[A-Za-z0-9._~!$&'()*+,;=:@-]/

/** One spelling for the path of a file: apt asks for `libc6_2.41-12%2bdeb13u4_amd64.deb`, others for `…12+deb13u4…`. */
export function plainFileUrl(url: URL): URL {
  const plain = new URL(url)
  plain.pathname = decodeOctets(url.pathname, PATH_CHARACTER)
  return plain
}

/** The spelling for a server: some object stores take a plain `+` for a space. */
export function encodedFileUrl(url: URL): URL {
  const encoded = new URL(url)
  encoded.pathname = encoded.pathname.replaceAll('+', '%2B')
  return encoded
}

function decodeOctets(path: string, plain: RegExp): string {
  return path.replace(/%[0-9A-Fa-f]{2}/g, octet => {
    const character = String.fromCharCode(Number.parseInt(octet.slice(1), 16))
    return plain.test(character) ? character : octet.toUpperCase()
  })
}

/**
 * Names of query parameters whose values are passed on but never written down: bearer tokens, API keys, and the
 * signatures and credentials of pre-signed URLs (AWS, Google, Azure).
 */
const SECRET_PARAMETER = /token|secret|passw|signature|^sig$|api[-_]?key|^key$|auth|credential|session|jwt/i

const REDACTED = 'REDACTED'

/** The URL without its secrets. Two URLs that differ in their secrets only are one input. */
export function redactUrl(url: URL | string): string {
  const copy = new URL(url)
  copy.username = ''
  copy.password = ''
  copy.hash = ''
  if (copy.search === '') return copy.href
  const parts = copy.search.slice(1).split('&')
  copy.search = parts.map(redactParameter).join('&')
  return copy.href
}

/** Does this URL hold something that is not written down? */
export function isRedacted(url: URL): boolean {
  return redactUrl(url) !== url.href
}

function redactParameter(part: string): string {
  const at = part.indexOf('=')
  if (at < 0 || at === part.length - 1) return part
  return SECRET_PARAMETER.test(decode(part.slice(0, at))) ? `${part.slice(0, at)}=${REDACTED}` : part
}

/** `host:port` of a CONNECT request. @throws AslError REQUEST_INVALID */
export function parseAuthority(text: string): { readonly host: string; readonly port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match?.[1] === undefined || port < 1 || port > 65535) throw invalid(text, 'CONNECT wants host:port')
  return { host: match[1].toLowerCase(), port }
}

/** Host and port as they stand in messages and records. */
export function authorityOf(url: URL): string {
  return `${url.hostname}:${portOf(url)}`
}

export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
}

/** Percent-encoding that is not UTF-8 stays as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function invalid(text: string, reason: string): AslError {
  return new AslError('REQUEST_INVALID', `Cannot take "${text.slice(0, 200)}" as a request target: ${reason}`)
}
