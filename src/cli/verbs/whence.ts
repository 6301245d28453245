import { resolve } from 'node:path'
import { AslError } from '../../core/mod.ts'
import {
  bytePathOf,
  drawWhence,
  formatWhence,
  jsonView,
  originSummary,
  type WhenceAsker,
  whenceAsker,
} from '../../lineage/mod.ts'
import { writeFileAtomic } from '../../sys/mod.ts'
import { openLineageSource, SOURCE_ARG_SUMMARY } from '../lineage-source.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'whence',
  group: 'Ask',
  summary: 'tell where a file of an image comes from, down to the key of the archive',
  description:
    'The chain leads from the image through its root tree, the step that brought the file, the package and its URL to ' +
    "the archive's signed lists; for other files to the command that wrote them or the overlay they lie in. Every link " +
    'says by what it is known. With --all every regular file is listed with its origin; the exit status is 11 when one ' +
    'has none.',
  args: [
    { name: 'SOURCE', summary: SOURCE_ARG_SUMMARY },
    { name: 'PATH', summary: 'a path in it, such as /usr/bin/openssl', isOptional: true },
  ],
  options: [
    STORE_OPTION,
    { flags: '--svg FILE', summary: 'also draw the chain into this file' },
    { flags: '--all', summary: 'list every regular file with its origin' },
    JSON_OPTION,
  ],
  run: whence,
}

async function whence(context: Context, input: VerbInput): Promise<number | undefined> {
  const path = input.tryArg('PATH')
  if ((path === undefined) !== input.flag('all')) throw new AslError('USAGE', 'asl whence wants a PATH, or --all')
  const source = openLineageSource(context, input, input.arg('SOURCE'))
  const { store, tree, receipt, image, readers } = source
  const subject = {
    tree,
    ...(receipt === undefined ? {} : { receiptRef: receipt }),
    ...(image === undefined ? {} : { image }),
  }
  const asker = whenceAsker(store, subject, readers)
  try {
    return path === undefined ? await listAll(context, input, asker) : await answer(context, input, asker, path)
  } finally {
    for (const finding of asker.findings()) context.say(`asl: ${finding}`)
    store.close()
  }
}

async function answer(context: Context, input: VerbInput, asker: WhenceAsker, path: string): Promise<undefined> {
  const found = await asker.whence(bytePathOf(path))
  const svg = input.tryText('svg')
  if (svg !== undefined) writeFileAtomic(resolve(context.cwd, svg), drawWhence(found))
  context.print(input.flag('json') ? JSON.stringify(jsonView(found)) : formatWhence(found))
}

/** One line a file; JSON lines with `--json`. */
async function listAll(context: Context, input: VerbInput, asker: WhenceAsker): Promise<number | undefined> {
  let [files, without] = [0, 0]
  for await (const found of asker.whenceAll()) {
    files++
    if (!found.isComplete) without++
    context.print(input.flag('json') ? JSON.stringify(jsonView(found)) : `${found.path}\t${originSummary(found)}`)
  }
  context.say(`asl: ${files} files, ${without === 0 ? 'each has an origin' : `${without} without an origin`}`)
  return without === 0 ? undefined : 11
}
