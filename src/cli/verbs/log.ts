import { listLog } from '../../store/mod.ts'
import { openStoreOf } from '../open-store.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'log',
  group: 'Store',
  summary: 'list the records of the log',
  options: [
    STORE_OPTION,
    { flags: '--from LOGSEQ', summary: 'the first record to list', defaultText: '1' },
    { flags: '--limit COUNT', summary: 'how many records at most' },
    JSON_OPTION,
  ],
  run: log,
}

async function log(context: Context, input: VerbInput): Promise<undefined> {
  const store = openStoreOf(context, input)
  try {
    for (const record of listLog(store, input.tryNumber('from'), input.tryNumber('limit'))) {
      const { logseq, name, type, recordHash, summary } = record
      if (input.flag('json')) {
        context.print(JSON.stringify({ logseq, type, name, record_hash: recordHash, summary }))
        continue
      }
      const particulars = Object.entries(summary).map(([key, value]) => `${key}=${value}`)
      context.print(
        `${String(logseq).padStart(6)}  ${name.padEnd(17)}  ${recordHash.slice(0, 12)}  ${particulars.join(' ')}`,
      )
    }
  } finally {
    store.close()
  }
}
