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
  #error: unknown

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  add(body: Waiting): void {
    this.#waiting.push(body)
    this.#waitingBytes += body.sizeBytes
    if (this.#waitingBytes >= this.#options.maxBytes || this.#waiting.length >= this.#options.maxFiles) this.#start()
  }

  /** Tells whether responses are on their way: a batch waits for a quiet line. */
  setBusy(isBusy: boolean): void {
    clearTimeout(this.#timer)
    if (!isBusy && this.#waiting.length > 0) {
      this.#timer = setTimeout(() => this.#start(), this.#options.quietMs)
    }
  }

  /** Keeps all that waits. @throws whatever the store threw; what could not be kept still waits */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#running
    this.#error = undefined
    this.#start()
    await this.#running
    if (this.#error !== undefined) throw this.#error
  }

  /** A store that is locked for the moment is no reason to stop: the next batch tries again, the last one throws. */
  #start(): void {
    this.#running = this.#running.then(async () => {
      const batch = this.#waiting
      if (batch.length === 0) return
      this.#waiting = []
      this.#waitingBytes = 0
      try {
        const references = await this.#options.keep(batch.map(body => body.path))
        for (const [i, body] of batch.entries()) {
          body.onKept(references[i] as Reference)
          unlinkSync(body.path)
        }
      } catch (error) {
        this.#error = error
        this.#waiting.unshift(...batch)
        this.#waitingBytes += batch.reduce((sum, body) => sum + body.sizeBytes, 0)
      }
    })
  }
}
