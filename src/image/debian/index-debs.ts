import { Worker } from 'node:worker_threads'
import { AslError, type ErrorCode, type Reference } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import type { DebIndex } from './deb-index.ts'
import type { DebInput } from './unpack.ts'

export interface IndexDebsOptions {
  readonly store: StoreReader
  /** Threads that decompress at the same time: as many as there are processors to spare. */
  readonly threads: number
  readonly signal?: AbortSignal
}

/** What a worker is told: the content, or the block file that holds exactly it. */
export interface IndexJob {
  readonly id: number
  readonly name: string
  readonly reference: Reference
  readonly sizeBytes: number
  readonly content: Uint8Array | string
}

export interface IndexReply {
  readonly id: number
  readonly index?: DebIndex
  readonly failure?: { readonly code?: ErrorCode; readonly message: string; readonly hint?: string | undefined }
}

/**
 * Indexes packages of a store on several threads. Results come in the order of the packages; no more than two packages
 * a thread are under way.
 * @throws AslError FORMAT_INVALID, ARCHIVE_HOSTILE, and what the store throws
 */
export async function* indexDebs(
  debs: readonly DebInput[],
  options: IndexDebsOptions,
): AsyncGenerator<readonly [deb: DebInput, index: DebIndex], void, undefined> {
  const workers = Array.from({ length: Math.max(1, Math.min(options.threads, debs.length)) }, startWorker)
  const running = new Map<number, Promise<DebIndex>>()
  let started = 0
  try {
    for (const [i, deb] of debs.entries()) {
      while (started < debs.length && started < i + 2 * workers.length) {
        const next = debs[started] as DebInput
        // One that is not looked at yet may fail: its error is thrown when its turn comes.
        const result = leastBusy(workers).run(jobOf(started, next, options.store))
        result.catch(() => {})
        running.set(started++, result)
      }
      if (options.signal?.aborted === true) throw new AslError('INTERRUPTED', `Stopped before ${deb.name} was indexed`)
      yield [deb, await (running.get(i) as Promise<DebIndex>)]
      running.delete(i)
    }
  } finally {
    await Promise.all(workers.map(worker => worker.close()))
  }
}

function jobOf(id: number, deb: DebInput, store: StoreReader): IndexJob {
  const stat = store.tryStat(deb.reference)
  if (stat === undefined)
    throw new AslError('STORE_NOT_FOUND', `${deb.name} (${deb.reference}) is not in ${store.location}`)
  const content = store.tryContentPath(deb.reference) ?? Uint8Array.from(store.read(deb.reference))
  return { id, name: deb.name, reference: deb.reference, sizeBytes: stat.sizeBytes, content }
}

interface IndexWorker {
  /** Packages under way. */
  readonly load: number
  run(job: IndexJob): Promise<DebIndex>
  close(): Promise<unknown>
}

/** A worker streams: it needs little, and without a limit it would let garbage pile up before it collects. */
const LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 }

function startWorker(): IndexWorker {
  const worker = new Worker(new URL('./deb-index-worker.ts', import.meta.url), { resourceLimits: LIMITS })
  const waiting = new Map<number, PromiseWithResolvers<DebIndex>>()
  worker.on('message', (reply: IndexReply) => {
    const waiter = waiting.get(reply.id)
    waiting.delete(reply.id)
    if (reply.index !== undefined) waiter?.resolve(reply.index)
    else waiter?.reject(errorOf(reply))
  })
  worker.on('error', error => {
    for (const waiter of waiting.values()) waiter.reject(error)
    waiting.clear()
  })
  return {
    get load() {
      return waiting.size
    },
    run(job) {
      const waiter = Promise.withResolvers<DebIndex>()
      waiting.set(job.id, waiter)
      worker.postMessage(job, typeof job.content === 'string' ? [] : [job.content.buffer as ArrayBuffer])
      return waiter.promise
    },
    close: () => worker.terminate(),
  }
}

function leastBusy(workers: readonly IndexWorker[]): IndexWorker {
  return workers.reduce((best, worker) => (worker.load < best.load ? worker : best))
}

function errorOf({ failure }: IndexReply): Error {
  if (failure?.code === undefined) return new Error(failure?.message ?? 'a worker answered nothing')
  return new AslError(failure.code, failure.message, failure.hint === undefined ? {} : { hint: failure.hint })
}
