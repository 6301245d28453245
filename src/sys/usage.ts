import { createRequire } from 'node:module'

/** What all programs that this process has started and waited for have used so far. */
export interface ChildUsage {
  readonly cpuMs: number
  /** The largest single process, not the sum. */
  readonly maxRssKib: number
  /** Blocks of 512 bytes. */
  readonly ioReads: number
  readonly ioWrites: number
}

const RUSAGE_CHILDREN = -1
/** `struct rusage` of 64-bit Linux: two timevals, then 14 longs; getrusage(2). */
const RUSAGE_SIZE_BYTES = 16 * 2 + 8 * 14

/** Loaded when first needed: programs inside an image do without foreign functions. */
const require = createRequire(import.meta.url)
let getrusage: ((who: number, usage: Buffer) => number) | undefined

export function childUsage(): ChildUsage {
  getrusage ??= (require('koffi') as typeof import('koffi'))
    .load(null)
    .func('int getrusage(int who, void *usage)') as unknown as (who: number, usage: Buffer) => number
  const usage = Buffer.alloc(RUSAGE_SIZE_BYTES)
  if (getrusage(RUSAGE_CHILDREN, usage) !== 0) throw new Error('getrusage failed')
  const long = (index: number): number => Number(usage.readBigInt64LE(index * 8))
  return {
    cpuMs: Math.round((long(0) + long(2)) * 1000 + (long(1) + long(3)) / 1000),
    maxRssKib: long(4),
    ioReads: long(9),
    ioWrites: long(10),
  }
}
