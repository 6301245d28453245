import type { IncomingMessage } from 'node:http'
import { AslError, messageOf } from '../../core/mod.ts'
import { errnoOf } from '../../sys/mod.ts'
import { authorityOf, redactUrl } from './request-url.ts'

/** Failures that the next attempt has no chance to mend. */
const FINAL_ERRNO = /^(ENOTFOUND|CERT_|ERR_TLS_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HPE_|ERR_INVALID|EPROTO)/

/** What happened, in words, where the system's own word says little. */
const REASONS: readonly (readonly [RegExp, string, hint: string])[] = [
  [/^ENOTFOUND|^EAI_/, 'its name does not resolve', 'Check the address and the name server.'],
  [/^ECONNREFUSED/, 'it refuses connections', 'Check the address, and whether the server runs.'],
  [/^ETIMEDOUT/, 'it does not answer in time', 'Check the connection and the proxy settings.'],
  [
    /^(CERT_|ERR_TLS_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/,
    'its certificate is not trusted',
    'Install its authority on this host, or declare the host opaque.',
  ],
  [/^HPE_HEADER_OVERFLOW/, 'its headers are larger than 32 KiB', 'The server is at fault.'],
  [/^HPE_/, 'it does not speak HTTP', 'Check the address and port.'],
]

const RESUME_HINT = 'What was fetched is kept: run the same command again to go on.'

/**
 * @param cause words, or the error that the system, TLS or the HTTP parser gave
 */
export function unreachable(url: URL, cause: unknown, more: { readonly isTransient?: boolean } = {}): AslError {
  const errno = errnoOf(cause) ?? ''
  const [, words, hint] = REASONS.find(([pattern]) => pattern.test(errno)) ?? []
  const reason = typeof cause === 'string' ? cause : (words ?? messageOf(cause))
  return new AslError('NETWORK_UNREACHABLE', `Cannot fetch ${redactUrl(url)}: ${authorityOf(url)}: ${reason}`, {
    hint: hint === undefined ? RESUME_HINT : `${hint} ${RESUME_HINT}`,
    details: {
      host: url.hostname,
      url: redactUrl(url),
      ...(errno === '' ? {} : { errno }),
      isTransient: more.isTransient ?? (typeof cause !== 'string' && !FINAL_ERRNO.test(errno)),
    },
    ...(cause instanceof Error ? { cause } : {}),
  })
}

export function truncated(url: URL, receivedBytes: number, response: IncomingMessage): AslError {
  const announced = response.headers['content-length']
  const of = announced === undefined ? '' : ` of ${announced}`
  return unreachable(url, `the body ended after ${receivedBytes}${of} bytes`, { isTransient: true })
}

export function unexpectedStatus(url: URL, status: number): AslError {
  return unreachable(url, `answers ${status} to a request for the whole resource`)
}

export function redirectLoop(url: URL, hops: readonly string[]): AslError {
  return unreachable(url, `redirects ${hops.length} times without arriving, last from ${hops.at(-1)}`)
}
