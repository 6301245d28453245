import { resolve } from 'node:path'
import { AslError } from '../../core/mod.ts'
import { seedRoot } from '../../image/mod.ts'
import { openStoreOf } from '../open-store.ts'
import { storePathOf } from '../store-path.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'seed',
  group: 'Capture',
  summary: 'put the history of a store into the root folder of an image to be',
  description:
    'Writes var/lib/asl/personal below DIR: binaries, scripts and per as they lie in the store folder, and a sealed ' +
    'store with every deterministic receipt and what it names. Runs and their logs stay behind. The same store gives ' +
    'the same bytes.',
  options: [
    STORE_OPTION,
    { flags: '--into DIR', summary: 'the root folder' },
    {
      flags: '--history HOW',
      summary: 'full keeps all that a rebuild needs, lineage leaves file contents out',
      choices: ['full', 'lineage'],
      defaultText: 'full',
    },
    JSON_OPTION,
  ],
  async run(context, input) {
    return seed(context, input)
  },
}

function seed(context: Context, input: VerbInput): undefined {
  const store = openStoreOf(context, input)
  try {
    const seeded = seedRoot(store, {
      storeFolder: storePathOf(context, input),
      into: resolve(context.cwd, input.text('into')),
      profile: input.tryText('history') === 'lineage' ? 'lineage' : 'full',
      domainId: store.config.domainId,
      epoch: epochOf(context),
    })
    if (input.flag('json')) {
      context.print(
        JSON.stringify({
          folder: seeded.folder,
          receipts: seeded.receiptCount,
          artifacts: seeded.artifactCount,
          absent: seeded.absentCount,
          missing: seeded.missing,
          size: seeded.sizeBytes,
          root_hash: seeded.rootHash,
        }),
      )
      return
    }
    context.print(
      `${seeded.folder}: ${seeded.receiptCount} receipts, ${seeded.artifactCount} artifacts, snapshot ${seeded.rootHash}`,
    )
    if (seeded.missing.length > 0) {
      context.say(`asl: ${seeded.missing.length} contents are listed as left out: the store does not have them`)
    }
  } finally {
    store.close()
  }
}

function epochOf(context: Context): number {
  const text = context.env.SOURCE_DATE_EPOCH ?? '0'
  if (/^\d{1,12}$/.test(text)) return Number(text)
  throw new AslError('USAGE', `SOURCE_DATE_EPOCH is "${text}", and wants whole seconds since 1970`)
}
