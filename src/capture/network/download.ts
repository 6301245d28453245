import type { Reference, Sha256 } from '../../core/mod.ts'

export type Method = 'GET' | 'HEAD'

/** What a step is told of a response besides its body; the same when recorded and when replayed. */
export interface ResponseHead {
  readonly status: number
  /** Lower-case names, from {@link KEPT_HEADERS} alone. */
  readonly headers: Readonly<Record<string, string>>
}

/** A response that lies in the store and is served from there: replay, lock, resumed run. */
export interface KnownResponse extends ResponseHead {
  /** The body, an untagged artifact. Of a HEAD request: the empty one. */
  readonly ref: Reference
  readonly sizeBytes: number
  readonly sha256?: Sha256 | undefined
}

/** A response that the step was given: one input. */
export interface Download extends KnownResponse {
  readonly method: Method
  /** As the step asked, with logical host, without secrets. */
  readonly url: string
  /** Of the body. Absent when it was served from the store by a caller who did not say. */
  readonly sha256: Sha256 | undefined
  /** Where it came from in this run, without secrets; absent when it was served from the store. */
  readonly upstreamUrl: string | undefined
  /** The URLs whose redirects led here, oldest first. */
  readonly via: readonly string[]
  /** What upstream said of it, for the run half: never shown to the step behind a mirror. */
  readonly upstreamHeaders: Readonly<Record<string, string>>
}

/** What a response is found by: method and URL, nothing else. */
export type ResponseKey = `${Method} ${string}`

export function responseKey(method: Method, url: string): ResponseKey {
  return `${method} ${url}`
}

/** The responses of an earlier run, to be served again. */
export function knownFrom(downloads: Iterable<Download>): ReadonlyMap<ResponseKey, KnownResponse> {
  const known = new Map<ResponseKey, KnownResponse>()
  for (const { method, url, status, headers, ref, sizeBytes, sha256 } of downloads) {
    known.set(responseKey(method, url), { status, headers, ref, sizeBytes, sha256 })
  }
  return known
}

/**
 * The headers that change what a program does with a body: kept, and passed on. Everything else a server says (date,
 * server, cookies, age) is chance.
 */
export const KEPT_HEADERS = ['content-type', 'content-encoding', 'last-modified', 'etag', 'location'] as const
