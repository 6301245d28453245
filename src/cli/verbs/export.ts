import { resolve } from 'node:path'
import { AslError } from '../../core/mod.ts'
import { EXPORT_FORMATS, exportHistory, isExportFormat } from '../../lineage/mod.ts'
import { writeFileAtomic } from '../../sys/mod.ts'
import { openLineageSource, SOURCE_ARG_SUMMARY } from '../lineage-source.ts'
import { type Context, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'
import { versionOf } from '../version.ts'

export const verb: Verb = {
  name: 'export',
  group: 'Ask',
  summary: 'write a history in the formats of other tools',
  description:
    'in-toto gives one statement a line with the SLSA provenance of one step, to be signed; cyclonedx and spdx give the ' +
    'packages of the root tree with their URLs and digests, cyclonedx and spdx3 the steps as well. The same history ' +
    'gives the same bytes.',
  args: [{ name: 'SOURCE', summary: SOURCE_ARG_SUMMARY }],
  options: [
    STORE_OPTION,
    { flags: '--format NAME', summary: 'the format to write', choices: Object.keys(EXPORT_FORMATS) },
    { flags: '--out FILE', summary: 'where it goes', defaultText: 'standard output' },
  ],
  run: write,
}

async function write(context: Context, input: VerbInput): Promise<undefined> {
  const format = input.text('format')
  if (!isExportFormat(format)) throw new AslError('USAGE', `There is no format "${format}"`)
  const { store, tree, receipt, image, name } = openLineageSource(context, input, input.arg('SOURCE'), {
    hasDigest: true,
  })
  try {
    const text = exportHistory(
      {
        store,
        tree,
        name: image?.name ?? name,
        toolVersion: versionOf(context.projectRoot),
        ...(receipt === undefined ? {} : { receiptRef: receipt }),
        ...(image === undefined ? {} : { image }),
      },
      format,
    )
    const out = input.tryText('out')
    if (out === undefined) context.write(Buffer.from(text))
    else writeFileAtomic(resolve(context.cwd, out), text)
  } finally {
    store.close()
  }
}
