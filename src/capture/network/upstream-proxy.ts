import { AslError } from '../../core/mod.ts'
import { authorityOf } from './request-url.ts'

/** The proxy that the build host itself has to use, as its environment gives it. */
export interface UpstreamProxy {
  /** `http://[user:password@]host:port`, for plain http. */
  readonly http?: string
  readonly https?: string
  /** Hosts reached without it, in the syntax of `no_proxy`: `example.org,.internal,10.0.0.1:8080,*`. */
  readonly except?: string
}

/**
 * The proxy a URL is to be asked through, or `undefined` for the straight way.
 * @throws AslError CONFIG_INVALID when the setting is not an http URL
 */
export function tryProxyFor(url: URL, proxy: UpstreamProxy): URL | undefined {
  const setting = url.protocol === 'https:' ? proxy.https : proxy.http
  if (setting === undefined || setting === '' || isExcepted(url, proxy.except ?? '')) return undefined
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(setting) ? setting : `http://${setting}`
  if (!URL.canParse(text) || new URL(text).protocol !== 'http:') {
    throw new AslError('CONFIG_INVALID', `Not an http proxy: "${text.replace(/\/\/[^@/]*@/, '//')}"`, {
      hint: 'Set it as http://proxy.example:3128.',
    })
  }
  return new URL(text)
}

/** A name stands for itself and everything below it, as curl and wget read it. */
function isExcepted(url: URL, except: string): boolean {
  const authority = authorityOf(url)
  return except
    .split(',')
    .map(entry => entry.trim().toLowerCase())
    .some(entry => {
      if (entry === '') return false
      if (entry === '*' || entry === authority) return true
      const name = entry.replace(/^\*?\./, '')
      return url.hostname === name || url.hostname.endsWith(`.${name}`)
    })
}
