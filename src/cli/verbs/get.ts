import { closeSync, openSync, renameSync } from 'node:fs'
import { resolve } from 'node:path'
import { AslError, TREE } from '../../core/mod.ts'
import { checkoutTree, type DiskStore, resolveFile, showPath } from '../../store/mod.ts'
import { errnoOf, fsyncFolder, ioError, removeIfThere, writeAll } from '../../sys/mod.ts'
import { openStoreOf, referenceArgument } from '../open-store.ts'
import { openProgress, PROGRESS_OPTION } from '../progress.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'get',
  group: 'Store',
  summary: 'write an artifact to a file, or a tree to a folder',
  description:
    'What is written has been verified: content that does not hash to REF leaves no file. A tree goes to a folder that ' +
    'is new or empty; owners are set when run as root.',
  args: [
    { name: 'REF', summary: 'a reference' },
    { name: 'DEST', summary: 'the file or folder to make' },
  ],
  options: [
    STORE_OPTION,
    { flags: '--path PATH', summary: 'only this file or folder of the tree REF' },
    { flags: '--epoch SECONDS', summary: 'the time of entries that record none', defaultText: '0' },
    { flags: '--skip-unpermitted', summary: 'leave out devices and attributes that may not be made here' },
    PROGRESS_OPTION,
    JSON_OPTION,
  ],
  run: get,
}

async function get(context: Context, input: VerbInput): Promise<undefined> {
  const store = openStoreOf(context, input)
  const progress = openProgress(context, input.tryText('progress'))
  try {
    const reference = wantedReference(store, input)
    const target = resolve(context.cwd, input.arg('DEST'))
    if (store.tryStat(reference)?.typeTag !== TREE.typeTag) {
      const sizeBytes = writeContent(store, reference, target)
      report(context, input, { ref: reference, path: target, size: sizeBytes })
      return
    }
    let [itemsDone, bytesDone] = [0, 0]
    const startMs = context.clock.monotonicMs()
    progress.report({ kind: 'step-start', id: target, title: `check out to ${showPath(target)}` })
    const { entryCount, sizeBytes, skipped } = checkoutTree(store, reference, target, {
      epoch: input.tryNumber('epoch') ?? 0,
      unpermitted: input.flag('skip-unpermitted') ? 'skip' : 'fail',
      signal: context.signal,
      onEntry: (_, size) => {
        bytesDone += size
        if (++itemsDone % 64 === 0) progress.report({ kind: 'step-progress', id: target, itemsDone, bytesDone })
      },
    })
    progress.report({ kind: 'step-end', id: target, state: 'built', ms: context.clock.monotonicMs() - startMs })
    progress.close()
    for (const path of skipped) context.say(`left out ${path}: not permitted`)
    report(context, input, { ref: reference, path: target, size: sizeBytes, entries: entryCount, skipped })
  } finally {
    progress.close()
    store.close()
  }
}

function wantedReference(store: DiskStore, input: VerbInput): ReturnType<typeof referenceArgument> {
  const reference = referenceArgument(store, input.arg('REF'))
  const path = input.tryText('path')
  if (path === undefined) return reference
  const entry = resolveFile(store, reference, path)
  if (entry?.ref === undefined) {
    throw new AslError('PATH_NOT_FOUND', `Tree ${reference} has no file or folder ${showPath(path)}`)
  }
  return entry.ref
}

/** Under another name until it is whole and verified. */
function writeContent(store: DiskStore, reference: ReturnType<typeof referenceArgument>, target: string): number {
  const temporary = `${target}.${process.pid}.tmp`
  let position = 0
  try {
    const fd = openSync(temporary, 'wx')
    try {
      for (const piece of store.chunks(reference)) {
        writeAll(fd, piece, position)
        position += piece.length
      }
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, target)
    fsyncFolder(resolve(target, '..'))
    return position
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') removeIfThere(temporary)
    throw error instanceof AslError ? error : ioError(error, `Cannot write ${showPath(target)}`)
  }
}

function report(
  context: Context,
  input: VerbInput,
  written: { readonly path: string; readonly [key: string]: unknown },
): void {
  if (input.flag('json')) context.print(JSON.stringify(written))
  else context.print(showPath(written.path))
}
