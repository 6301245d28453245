import { kindName, type Reference } from '../../core/mod.ts'
import { reachableFrom } from '../../store/mod.ts'
import { formatBytes } from '../format.ts'
import { openStoreOf, referenceArgument } from '../open-store.ts'
import { openProgress, PROGRESS_OPTION } from '../progress.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'verify',
  group: 'Store',
  summary: 'read artifacts and derive their references again',
  description:
    'With --reachable also everything that they name: the entries of a tree, the parts of a receipt. The first artifact ' +
    'that is missing or damaged is named, and the exit status is 4 or 3. `asl check` looks at the whole store.',
  args: [{ name: 'REF', summary: 'a reference', isVariadic: true }],
  options: [
    STORE_OPTION,
    { flags: '--reachable', summary: 'also everything that can be reached from them' },
    PROGRESS_OPTION,
    JSON_OPTION,
  ],
  run: verify,
}

async function verify(context: Context, input: VerbInput): Promise<undefined> {
  const store = openStoreOf(context, input)
  const progress = openProgress(context, input.tryText('progress'))
  try {
    const roots = input.args('REF').map(text => referenceArgument(store, text))
    const kinds = new Map<string, number>()
    let [artifacts, bytes] = [0, 0]
    const count = (kind: string, sizeBytes: number): void => {
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      bytes += sizeBytes
      artifacts++
      progress.report({ kind: 'step-progress', id: 'verify', itemsDone: artifacts, bytesDone: bytes })
    }
    const startMs = context.clock.monotonicMs()
    progress.report({ kind: 'step-start', id: 'verify', title: 'verify' })
    if (input.flag('reachable')) {
      for (const { typeTag, sizeBytes } of reachableFrom(store, roots)) {
        context.signal.throwIfAborted()
        count(kindName(typeTag), sizeBytes)
      }
    } else {
      for (const reference of roots) {
        let sizeBytes = 0
        for (const piece of store.chunks(reference)) sizeBytes += piece.length
        count(kindName(store.tryStat(reference)?.typeTag), sizeBytes)
      }
    }
    progress.report({ kind: 'step-end', id: 'verify', state: 'built', ms: context.clock.monotonicMs() - startMs })
    progress.close()
    report(context, input, roots, artifacts, bytes, kinds)
  } finally {
    progress.close()
    store.close()
  }
}

function report(
  context: Context,
  input: VerbInput,
  roots: readonly Reference[],
  artifacts: number,
  bytes: number,
  kinds: ReadonlyMap<string, number>,
): void {
  const sorted = [...kinds].sort(([a], [b]) => (a < b ? -1 : 1))
  if (input.flag('json')) {
    context.print(JSON.stringify({ roots, artifacts, bytes, kinds: Object.fromEntries(sorted) }))
    return
  }
  const parts = sorted.map(([kind, number]) => `${number} ${kind}`)
  context.print(`verified ${artifacts} artifacts, ${formatBytes(bytes)}: ${parts.join(', ')}`)
}
