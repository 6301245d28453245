import { setTimeout } from 'node:timers/promises'
import { AslError, messageOf, type Reference, type Sha256 } from '../../core/mod.ts'
import type { ByteStream } from '../../formats/mod.ts'
import type { Store, StoreWriter } from '../../store/mod.ts'
import type { FetchArtifact, FetchedArtifact } from './archive.ts'
import { putStream } from './put-stream.ts'

export interface MirrorFetchOptions {
  readonly store: Store
  /** Logical base → base of a mirror that carries it, both without a final slash. */
  readonly mirrors: ReadonlyMap<string, string>
  readonly scratchFolder: string
  /** What is in the store already, by plain digest: not fetched again. */
  readonly known?: (sha256: Sha256) => Reference | undefined
  readonly signal?: AbortSignal
  readonly onFetched?: (url: string, sizeBytes: number) => void
}

/** A fetch that puts what it gets into a store. What was fetched stays there, however the build ends. */
export interface MirrorFetch {
  readonly fetch: FetchArtifact
  /** Makes everything fetched so far visible and durable. */
  commit(): void
}

const ATTEMPTS = 3
const RETRY_DELAY_MS = 1000
const LARGEST_FILE_SIZE_BYTES = 4 * 1024 ** 3

export function mirrorFetch(options: MirrorFetchOptions): MirrorFetch {
  const { store } = options
  let writer: StoreWriter | undefined
  const uncommitted = new Set<Reference>()
  const commit = (): void => {
    writer?.commit()
    writer = undefined
    uncommitted.clear()
  }
  const openWriter = (): StoreWriter => {
    writer ??= store.openWriter()
    return writer
  }
  const inStore = (reference: Reference, sizeBytes: number): FetchedArtifact => ({
    reference,
    sizeBytes,
    chunks() {
      if (uncommitted.has(reference)) commit()
      return store.chunks(reference)
    },
  })
  return {
    commit,
    async fetch(url, expected) {
      const known = expected && options.known?.(expected.sha256)
      if (expected !== undefined && known !== undefined && store.has(known)) return inStore(known, expected.sizeBytes)
      const maxBytes = expected?.sizeBytes ?? LARGEST_FILE_SIZE_BYTES
      const put = (body: ByteStream) => putStream(openWriter, body, { ...options, name: url, maxBytes })
      const stored = await download(url, put, options)
      if (stored === undefined) return undefined
      uncommitted.add(stored.reference)
      options.onFetched?.(url, stored.sizeBytes)
      return inStore(stored.reference, stored.sizeBytes)
    },
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
    if (attempt < ATTEMPTS) await setTimeout(attempt * RETRY_DELAY_MS)
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
