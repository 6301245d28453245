import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { type KnownResponse, type ResponseKey, responseKey } from '../capture/mod.ts'
import { type InputEntry, isReference, type Reference } from '../core/mod.ts'
import type { StoreReader } from '../store/mod.ts'
import { tryReadFile } from '../sys/mod.ts'

/**
 * What was fetched before, by URL: served from the store instead of the network where a URL's content never changes
 * (files of the pool, indices by hash, npm tarballs). One JSON line a download; losing the file costs fetching again.
 */
export interface Downloads {
  /** Responses whose URL names its content, and that are still in the store. */
  known(): Map<ResponseKey, KnownResponse>
  /** The newest response of any URL, such as an InRelease: for a build without network. */
  tryLatest(url: string): { readonly ref: Reference; readonly size: number } | undefined
  add(inputs: readonly InputEntry[]): void
}

const NAMES_ITS_CONTENT = /\/by-hash\/|\/pool\/|\/-\/[^/]+\.tgz$/

export function openDownloads(store: StoreReader, cacheFolder: string): Downloads {
  const path = join(cacheFolder, 'downloads.jsonl')
  const latest = new Map<string, { readonly ref: Reference; readonly size: number }>()
  for (const line of tryReadFile(path)?.toString('utf8').split('\n') ?? []) {
    const entry = parseLine(line)
    if (entry !== undefined) latest.set(entry.url, { ref: entry.ref, size: entry.size })
  }
  return {
    known() {
      const known = new Map<ResponseKey, KnownResponse>()
      for (const [url, { ref, size }] of latest) {
        if (!NAMES_ITS_CONTENT.test(url) || !store.has(ref)) continue
        known.set(responseKey('GET', url), { status: 200, headers: {}, ref, sizeBytes: size })
      }
      return known
    },
    tryLatest(url) {
      const found = latest.get(url)
      return found !== undefined && store.has(found.ref) ? found : undefined
    },
    add(inputs) {
      const lines: string[] = []
      for (const { name, role, ref, size = 0 } of inputs) {
        if (role !== 'download' || !/^https?:/.test(name) || latest.get(name)?.ref === ref) continue
        latest.set(name, { ref, size })
        lines.push(JSON.stringify({ url: name, ref, size }))
      }
      if (lines.length > 0) appendFileSync(path, `${lines.join('\n')}\n`)
    },
  }
}

/** The file is a cache that a crash may have torn: a line that does not parse is a download that is not known. */
function parseLine(line: string): { readonly url: string; readonly ref: Reference; readonly size: number } | undefined {
  try {
    const { url, ref, size } = JSON.parse(line) as { url?: unknown; ref?: unknown; size?: unknown }
    if (typeof url !== 'string' || typeof ref !== 'string' || typeof size !== 'number' || !isReference(ref))
      return undefined
    return { url, ref, size }
  } catch {
    return undefined
  }
}
