import { isReference, TAG_RECEIPT } from '../../core/mod.ts'
import { causesView, diffHistories, diffReceipts, diffView, formatCauses, formatDiff } from '../../lineage/mod.ts'
import { openStore } from '../../store/mod.ts'
import { openLineageSource, SOURCE_ARG_SUMMARY } from '../lineage-source.ts'
import { storePathOf } from '../store-path.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'diff',
  group: 'Ask',
  summary: 'tell which files of two images differ, and which steps and inputs are the cause',
  description:
    'Differences are grouped by what caused them: another command, environment or input, a step that only one side has, ' +
    'or chance, when a step got the same and made something else. Two receipts are compared by themselves. The exit ' +
    'status is 0 when there is no difference and 11 when there is one.',
  args: [
    { name: 'A', summary: SOURCE_ARG_SUMMARY },
    { name: 'B', summary: 'the other one' },
  ],
  options: [
    STORE_OPTION,
    { flags: '--lines N', summary: 'most files shown for one cause', defaultText: '20' },
    JSON_OPTION,
  ],
  run: diff,
}

const DIFFERS = 11

async function diff(context: Context, input: VerbInput): Promise<number | undefined> {
  const names = { a: input.arg('A'), b: input.arg('B') }
  if (areReceipts(context, input, names)) return compareReceipts(context, input, names)
  const [a, b] = [openLineageSource(context, input, names.a), openLineageSource(context, input, names.b)]
  const found = await diffHistories(a, b)
  if (input.flag('json')) context.print(JSON.stringify(diffView(found)))
  else context.print(formatDiff(found, names, input.tryNumber('lines')))
  const { added, removed, changed } = found.counts
  return added + removed + changed + found.idle.length === 0 ? undefined : DIFFERS
}

interface Names {
  readonly a: string
  readonly b: string
}

function areReceipts(context: Context, input: VerbInput, { a, b }: Names): boolean {
  if (!isReference(a) || !isReference(b)) return false
  const store = openStore(storePathOf(context, input))
  const areBoth = [a, b].every(ref => store.tryStat(ref)?.typeTag === TAG_RECEIPT)
  store.close()
  return areBoth
}

function compareReceipts(context: Context, input: VerbInput, { a, b }: Names): number | undefined {
  if (!isReference(a) || !isReference(b)) throw new Error('checked before')
  const store = openStore(storePathOf(context, input))
  const causes = diffReceipts({ store, receipt: a }, { store, receipt: b })
  context.print(input.flag('json') ? JSON.stringify(causesView(causes)) : formatCauses(causes))
  return causes.length === 0 ? undefined : DIFFERS
}
