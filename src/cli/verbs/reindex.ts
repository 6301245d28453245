import { reindexStore } from '../../store/mod.ts'
import { openStoreOf } from '../open-store.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'reindex',
  group: 'Store',
  summary: 'make lost index segments again from the log and the blocks',
  description: 'The log says what each segment hashes to, so a segment that is made again is the same to the byte.',
  options: [STORE_OPTION, { flags: '--all', summary: 'also segments that are as they should be' }, JSON_OPTION],
  run: reindex,
}

async function reindex(context: Context, input: VerbInput): Promise<undefined> {
  const store = openStoreOf(context, input)
  try {
    const { segmentCount, rebuilt } = reindexStore(store, { isForced: input.flag('all') })
    if (input.flag('json')) context.print(JSON.stringify({ segments: segmentCount, rebuilt }))
    else context.print(`made ${rebuilt.length} of ${segmentCount} segments again`)
  } finally {
    store.close()
  }
}
