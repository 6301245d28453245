import { type ByteSource, type Extent, joinExtents } from './byte-source.ts'
import type { FatLayout } from './fat-layout.ts'
import { formatError } from './format-error.ts'

/** Follows cluster chains through the first file allocation table. */
export interface FatChains {
  /**
   * The clusters of a chain from `first` to its end, as extents.
   * @param clusters how many a file of that size has; without it the chain is followed to its end mark
   * @throws AslError FORMAT_INVALID for a loop, a cluster outside, free or bad, and a chain that is too short
   */
  extents(first: number, what: string, clusters?: number): Extent[]
}

const WINDOW_BYTES = 64 * 1024

export function openFatChains(source: ByteSource, layout: FatLayout): FatChains {
  const table = windowed(source, layout)
  const next = (cluster: number): number => {
    switch (layout.type) {
      case 'fat12': {
        const pair = table(cluster + (cluster >> 1), 2).readUInt16LE(0)
        return (cluster & 1) === 0 ? pair & 0xfff : pair >> 4
      }
      case 'fat16':
        return table(cluster * 2, 2).readUInt16LE(0)
      case 'fat32':
        return table(cluster * 4, 4).readUInt32LE(0) & 0x0fffffff
    }
  }
  /** Values from here on end a chain; the one before marks a bad cluster. */
  const endMark = { fat12: 0xff8, fat16: 0xfff8, fat32: 0x0ffffff8 }[layout.type]
  const isData = (cluster: number): boolean => cluster >= 2 && cluster < layout.clusters + 2

  return {
    extents(first, what, clusters) {
      const extents: Extent[] = []
      const seen = new Uint8Array(Math.ceil((layout.clusters + 2) / 8))
      let cluster = first
      for (let count = 0; clusters === undefined || count < clusters; count++) {
        if (clusters === undefined && cluster >= endMark && count > 0) break
        if (!isData(cluster)) {
          throw formatError(source, what, `its chain of clusters reaches ${cluster} after ${count} of them`)
        }
        const [byte, bit] = [cluster >> 3, 1 << (cluster & 7)]
        if (((seen[byte] as number) & bit) !== 0) throw formatError(source, what, 'its chain of clusters is a loop')
        seen[byte] = (seen[byte] as number) | bit
        extents.push({
          offset: layout.dataOffset + (cluster - 2) * layout.clusterBytes,
          sizeBytes: layout.clusterBytes,
        })
        cluster = next(cluster)
      }
      return joinExtents(extents)
    },
  }
}

/** Reads the table through one window: chains go forward for the most part. */
function windowed(source: ByteSource, layout: FatLayout): (offset: number, sizeBytes: number) => Buffer {
  let start = 0
  let window: Buffer = Buffer.alloc(0)
  return (offset, sizeBytes) => {
    if (offset < start || offset + sizeBytes > start + window.length) {
      start = offset - (offset % (WINDOW_BYTES / 2))
      window = source.read(layout.fatOffset + start, Math.min(WINDOW_BYTES, layout.fatBytes - start))
    }
    return window.subarray(offset - start, offset - start + sizeBytes)
  }
}
