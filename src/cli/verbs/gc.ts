import { collectGarbage, tombstone } from '../../store/mod.ts'
import { parseDuration } from '../duration.ts'
import { formatBytes } from '../format.ts'
import { openStoreOf, referenceArgument } from '../open-store.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'gc',
  group: 'Store',
  summary: 'remove blocks that nothing visible needs',
  description:
    'A block goes when no visible artifact lies in it, neither now nor in a pinned snapshot: what was hidden, replaced, ' +
    'or left by a batch that was cut short. It is noted first and removed by a later gc when --grace is over, so that ' +
    'readers can finish; a block with some visible artifacts is copied without the others.',
  options: [
    STORE_OPTION,
    { flags: '--grace TIME', summary: 'how long garbage stays: 24h, 0s', defaultText: '24h' },
    { flags: '--forget REF', summary: 'hide this artifact first; may be given again', isRepeatable: true },
    JSON_OPTION,
  ],
  run: gc,
}

async function gc(context: Context, input: VerbInput): Promise<undefined> {
  const graceMs = parseDuration(input.tryText('grace') ?? '24h')
  const store = openStoreOf(context, input)
  try {
    const forgotten = input.texts('forget').map(text => referenceArgument(store, text))
    if (forgotten.length > 0) tombstone(store, forgotten, 'operator')
    const { removed, freedBytes, copiedBytes, waiting } = collectGarbage(store, {
      nowMs: context.clock.nowMs(),
      graceMs,
    })
    if (input.flag('json')) {
      const view = { removed, freed_bytes: freedBytes, copied_bytes: copiedBytes, waiting, forgotten }
      context.print(JSON.stringify(view))
      return
    }
    context.print(`removed ${removed.length} blocks, ${formatBytes(freedBytes)}; copied ${formatBytes(copiedBytes)}`)
    if (waiting.length > 0) context.print(`${waiting.length} more go when their grace is over`)
  } finally {
    store.close()
  }
}
