import { unlinkSync } from 'node:fs'
import type { Reference } from '../../core/mod.ts'
import type { Store } from '../../store/mod.ts'

/**
 * Puts the contents of files into the store, as untagged artifacts in one batch. When it returns they are durable:
 * the files are removed then.
 */
export type KeepBodies = (paths: readonly string[]) => readonly Reference[] | Promise<readonly Reference[]>

/** One writer and one commit per batch, so that the store is locked for moments only. */
export function keepIn(store: Store): KeepBodies {
  return paths => {
    const writer = store.openWriter()
    try {
      const references = paths.map(path => writer.putFile(path))
      writer.commit()
      return references
    } finally {
      writer.abort()
    }
  }
}

export interface KeeperOptions {
  readonly keep: KeepBodies
  /** A batch goes to the store when the line has been quiet for this long… */
  readonly quietMs: number
  /** …and at the latest when so much waits. */
  readonly maxBytes: number
  readonly maxFiles: number
}

interface Waiting {
  readonly path: string
  readonly sizeBytes: number
  readonly onKept: (ref: Reference) => void
}

/**
 * Brings finished bodies from the spool folder into the store, a batch at a time: each on its own would cost a commit
 * with its fsyncs per package, all at the end would lose everything when the run is killed.
 */
export class Keeper {
  readonly #options: KeeperOptions
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  add(body: Waiting): void {
    this.#waiting.push(body)
    this.#waitingBytes += body.sizeBytes
    if (this.#waitingBytes >= this.#options.maxBytes || this.#waiting.length >= this.#options.maxFiles)
      this.#startUnheard()
  }

  /** Tells whether responses are on their way: a batch waits for a quiet line. */
  setBusy(isBusy: boolean): void {
    clearTimeout(this.#timer)
    if (!isBusy && this.#waiting.length > 0) {
      this.#timer = setTimeout(() => this.#startUnheard(), this.#options.quietMs)
    }
  }

  /** Keeps all that waits. @throws whatever the store threw; what could not be kept still waits */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    return this.#start()
  }

  /** A store that is locked for the moment is no reason to stop: the next batch tries again, the last one throws. */
  #startUnheard(): void {
    this.#start().catch(() => {})
  }

  #start(): Promise<void> {
    const run = this.#running.then(() => this.#keepBatch())
    this.#running = run.catch(() => {})
    return run
  }

  async #keepBatch(): Promise<void> {
    const batch = this.#waiting
    if (batch.length === 0) return
    this.#waiting = []
    this.#waitingBytes = 0
    let references: readonly Reference[]
    try {
      references = await this.#options.keep(batch.map(body => body.path))
    } catch (error) {
      this.#waiting.unshift(...batch)
      this.#waitingBytes += batch.reduce((sum, body) => sum + body.sizeBytes, 0)
      throw error
    }
    for (const [i, body] of batch.entries()) {
      body.onKept(references[i] as Reference)
      unlinkSync(body.path)
    }
  }
}
