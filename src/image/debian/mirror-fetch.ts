import { setTimeout } from 'node:timers/promises'
import { AslError, messageOf, type Reference, type Sha256, sha256Stream } from '../../core/mod.ts'
import type { ByteStream } from '../../formats/mod.ts'
import type { Store, StoreWriter } from '../../store/mod.ts'
import type { ExpectedContent, FetchArtifact, FetchedArtifact } from './archive.ts'
import { putStream } from './put-stream.ts'

export interface MirrorFetchOptions {
  readonly store: Store
  /** Logical base → base of a mirror that carries it, both without a final slash. */
  readonly mirrors: ReadonlyMap<string, string>
  readonly scratchFolder: string
  /** What is in the store already, by plain digest: not fetched again. Whoever asked checks the digest. */
  readonly known?: (sha256: Sha256) => Reference | undefined
  /** Before the second attempt; twice as long before the third. */
  readonly retryDelayMs?: number
  readonly signal?: AbortSignal
  readonly onFetched?: (url: string, sizeBytes: number) => void
}

const ATTEMPTS = 3
const RETRY_DELAY_MS = 1000
const LARGEST_FILE_SIZE_BYTES = 4 * 1024 ** 3

/**
 * A fetch that puts what it gets into a store, one commit a file: what was fetched stays, however the build ends.
 */
export function mirrorFetch(options: MirrorFetchOptions): FetchArtifact {
  const { store } = options
  const inStore = (reference: Reference, sizeBytes: number): FetchedArtifact => ({
    reference,
    sizeBytes,
    chunks: () => store.chunks(reference),
  })
  return async (url, expected) => {
    const known = expected && options.known?.(expected.sha256)
    if (expected !== undefined && known !== undefined && store.has(known)) {
      return inStore(known, store.tryStat(known)?.sizeBytes ?? 0)
    }
    const stored = await download(url, body => putBody(body, url, expected, options), options)
    if (stored === undefined) return undefined
    options.onFetched?.(url, stored.sizeBytes)
    return { ...inStore(stored.reference, stored.sizeBytes), sha256: stored.sha256 }
  }
}

async function putBody(
  body: ByteStream,
  url: string,
  expected: ExpectedContent | undefined,
  options: MirrorFetchOptions,
): Promise<{ reference: Reference; sizeBytes: number; sha256: Sha256 }> {
  const digest = sha256Stream()
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      digest.update(piece)
      yield piece
    }
  }
  let writer: StoreWriter | undefined
  const openWriter = (): StoreWriter => {
    writer = options.store.openWriter()
    return writer
  }
  const maxBytes = expected?.sizeBytes ?? LARGEST_FILE_SIZE_BYTES
  try {
    const stored = await putStream(openWriter, hashed(), { ...options, name: url, maxBytes })
    writer?.commit()
    return { ...stored, sha256: digest.digest() }
  } finally {
    writer?.abort()
  }
}

/** Gets a URL and passes its body to `use`, again from the start when the connection breaks. */
async function download<T>(
  url: string,
  use: (body: ByteStream) => Promise<T>,
  options: MirrorFetchOptions,
): Promise<T | undefined> {
  const from = mirrorUrl(url, options.mirrors)
  let reason: unknown
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (options.signal?.aborted === true) throw new AslError('INTERRUPTED', `Stopped while ${url} was being fetched`)
    try {
      const response = await fetch(from, { headers: { 'accept-encoding': 'identity' }, signal: options.signal ?? null })
      if (response.ok && response.body !== null) return await use(response.body)
      await response.body?.cancel()
      if (response.status === 404 || response.status === 410) return undefined
      reason = new Error(`it answers ${response.status} ${response.statusText}`)
      if (response.status < 500 && response.status !== 429) break
    } catch (error) {
      if (error instanceof AslError) throw error
      reason = error
    }
    if (attempt < ATTEMPTS) await setTimeout(attempt * (options.retryDelayMs ?? RETRY_DELAY_MS))
  }
  throw new AslError('NETWORK_UNREACHABLE', `Cannot get ${url} from ${from}: ${deepMessageOf(reason)}`, {
    hint: 'Check the mirror and the network, and run the same command again: what was fetched is kept.',
    cause: reason,
  })
}

function mirrorUrl(url: string, mirrors: ReadonlyMap<string, string>): string {
  for (const [logical, real] of mirrors) {
    if (url.startsWith(`${logical}/`)) return `${real}${url.slice(logical.length)}`
  }
  throw new AslError('CONFIG_INVALID', `No mirror is configured for ${url}`, {
    hint: `There are mirrors for ${[...mirrors.keys()].join(', ') || 'nothing'}.`,
  })
}

/** fetch() says "fetch failed" and keeps the reason one level below. */
function deepMessageOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`
}
