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
  const user = username === '' && password === '' ? undefined : `${decode(username)}:${decode(password)}`
  return {
    url,
    authorization: user === undefined ? undefined : `Basic ${Buffer.from(user).toString('base64')}`,
  }
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
