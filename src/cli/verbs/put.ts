import { closeSync, lstatSync, mkdtempSync, openSync, readSync, rmSync, type Stats } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { AslError, type Reference } from '../../core/mod.ts'
import { type IngestOptions, ingestTree, type StoreWriter, showPath } from '../../store/mod.ts'
import { errnoOf, writeAll } from '../../sys/mod.ts'
import { openStoreOf } from '../open-store.ts'
import { openProgress, PROGRESS_OPTION } from '../progress.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'put',
  group: 'Store',
  summary: 'put files and folders into the store',
  description:
    'A file becomes an artifact of its plain content, a folder a tree with everything below it. All of PATH becomes ' +
    'visible at once or not at all. Prints a reference for each.',
  args: [{ name: 'PATH', summary: 'a file, a folder, or - for standard input', isVariadic: true }],
  options: [
    STORE_OPTION,
    {
      flags: '--mtime RULE',
      summary: 'which times a tree records',
      choices: ['keep', 'clamp', 'drop'],
      defaultText: 'keep',
    },
    { flags: '--epoch SECONDS', summary: 'with --mtime clamp: only times before it are recorded' },
    { flags: '--drop-owner', summary: 'record everything in a tree as owned by root' },
    PROGRESS_OPTION,
    JSON_OPTION,
  ],
  run: put,
}

interface Put {
  readonly path: string
  readonly ref: Reference
  readonly size: number
  /** Of a folder. */
  readonly entries?: number
}

async function put(context: Context, input: VerbInput): Promise<undefined> {
  const options = ingestOptions(context, input)
  const store = openStoreOf(context, input)
  const progress = openProgress(context, input.tryText('progress'))
  try {
    const writer = store.openWriter()
    const done: Put[] = []
    try {
      for (const path of input.args('PATH')) {
        let [itemsDone, bytesDone] = [0, 0]
        const startMs = context.clock.monotonicMs()
        progress.report({ kind: 'step-start', id: path, title: `put ${showPath(path)}` })
        const onEntry = (_: Buffer, sizeBytes: number): void => {
          bytesDone += sizeBytes
          if (++itemsDone % 64 === 0) progress.report({ kind: 'step-progress', id: path, itemsDone, bytesDone })
        }
        done.push(putOne(writer, context, path, { ...options, onEntry }))
        progress.report({ kind: 'step-end', id: path, state: 'built', ms: context.clock.monotonicMs() - startMs })
      }
      writer.commit()
    } finally {
      writer.abort()
      progress.close()
    }
    if (input.flag('json')) context.print(JSON.stringify({ artifacts: done }))
    else for (const { ref, path } of done) context.print(`${ref}  ${showPath(path)}`)
  } finally {
    store.close()
  }
}

function ingestOptions(context: Context, input: VerbInput): IngestOptions {
  const mtime = (input.tryText('mtime') ?? 'keep') as 'keep' | 'clamp' | 'drop'
  const epoch = input.tryNumber('epoch')
  if (mtime === 'clamp' && epoch === undefined) throw new AslError('USAGE', '--mtime clamp wants --epoch')
  return {
    mtime,
    ...(epoch === undefined ? {} : { epoch }),
    owner: input.flag('drop-owner') ? 'drop' : 'keep',
    signal: context.signal,
  }
}

function putOne(writer: StoreWriter, context: Context, path: string, options: IngestOptions): Put {
  if (path === '-') return putStandardInput(writer)
  const hostPath = resolve(context.cwd, path)
  if (statOf(hostPath).isDirectory()) {
    const { reference, sizeBytes, entryCount } = ingestTree(writer, hostPath, options)
    return { path, ref: reference, size: sizeBytes, entries: entryCount }
  }
  const ref = writer.putFile(hostPath)
  return { path, ref, size: statOf(hostPath).size }
}

/** A pipe has no size, and the size is hashed first: it goes through a file. */
function putStandardInput(writer: StoreWriter): Put {
  const folder = mkdtempSync(join(tmpdir(), 'asl-put-'))
  try {
    const copy = join(folder, 'stdin')
    const fd = openSync(copy, 'wx+', 0o600)
    const piece = Buffer.allocUnsafe(1 << 20)
    for (let got = readSync(0, piece); got > 0; got = readSync(0, piece)) writeAll(fd, piece.subarray(0, got))
    const { reference, sizeBytes } = writer.putOpenFile(fd, 'standard input')
    closeSync(fd)
    return { path: '-', ref: reference, size: sizeBytes }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function statOf(path: string): Stats {
  try {
    return lstatSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new AslError('PATH_NOT_FOUND', `There is no ${showPath(path)}`)
    throw error
  }
}
