/** The worker of `index-debs.ts`: one package after the other, decompressed and hashed away from the main thread. */
import { createReadStream } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { AslError, artifactHasher, messageOf, type Reference } from '../../core/mod.ts'
import { indexDeb } from './deb-index.ts'
import type { IndexJob, IndexReply } from './index-debs.ts'

parentPort?.on('message', async (job: IndexJob) => {
  const reply: IndexReply = await indexJob(job).then(
    index => ({ id: job.id, index }),
    (error: unknown) => ({ id: job.id, failure: describe(error) }),
  )
  parentPort?.postMessage(reply)
})

async function indexJob(job: IndexJob) {
  return indexDeb(typeof job.content === 'string' ? verified(job.content, job) : [job.content], job.name)
}

/** A block file is read here directly, so its digest is checked here too. */
async function* verified(path: string, job: IndexJob): AsyncGenerator<Buffer> {
  const hasher = artifactHasher(job.sizeBytes)
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 18 })) {
    hasher.update(piece as Buffer)
    yield piece as Buffer
  }
  const found: Reference = hasher.reference()
  if (found !== job.reference) {
    throw new AslError('STORE_INTEGRITY', `Artifact ${job.reference} in "${path}" reads as ${found}`)
  }
}

function describe(error: unknown): NonNullable<IndexReply['failure']> {
  if (error instanceof AslError) return { code: error.code, message: error.message, hint: error.hint }
  return { message: error instanceof Error ? (error.stack ?? error.message) : messageOf(error) }
}
