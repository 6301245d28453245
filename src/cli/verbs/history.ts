import { describedBuild, openHistory, verifyHistory } from '../../lineage/mod.ts'
import { listSnapshots, loadReceipt } from '../../store/mod.ts'
import { type Context, JSON_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'history',
  group: 'Ask',
  summary: 'tell what a history holds, and verify it',
  description:
    'HISTORY is the store that an image carries: an ISO, or the folder where a booted host shows it. Without --verify ' +
    'the steps are listed; with it every artifact is read and derived again, every receipt is followed, and one line ' +
    'says what holds.',
  args: [{ name: 'HISTORY', summary: 'an image, or the folder of a store' }],
  options: [
    { flags: '--verify', summary: 'read and check everything' },
    { flags: '--snapshot-hash HEX', summary: 'the raw hash that the snapshot must have' },
    { flags: '--root-hash HEX', summary: 'the dm-verity root hash that the root must have' },
    JSON_OPTION,
  ],
  run: history,
}

async function history(context: Context, input: VerbInput): Promise<undefined> {
  const store = openHistory(input.arg('HISTORY'))
  const [snapshotHash, rootHash] = [input.tryText('snapshot-hash'), input.tryText('root-hash')]
  if (input.flag('verify')) {
    const verified = verifyHistory(store, {
      claims: {
        ...(snapshotHash === undefined ? {} : { snapshotHash }),
        ...(rootHash === undefined ? {} : { rootHash }),
      },
      snapshotHash: listSnapshots(store).at(-1)?.rootHash,
    })
    const { artifactCount, receiptCount, rootTree } = verified
    if (input.flag('json')) context.print(JSON.stringify(verified))
    else context.print(`asl: history verified: ${artifactCount} artifacts, ${receiptCount} receipts, root ${rootTree}`)
    return
  }
  const build = describedBuild(store)
  const steps = build.receipts.map(ref => {
    const { command, outputs } = loadReceipt(store, ref)
    return {
      receipt: ref,
      what: command.builtin ?? command.argv?.[0] ?? '',
      outputs: outputs.entries.map(entry => entry.name),
    }
  })
  if (input.flag('json')) {
    context.print(JSON.stringify({ root_tree: build.rootTree, root_hash: build.rootHash, inputs: build.inputs, steps }))
    return
  }
  context.print(`root tree  ${build.rootTree}`)
  context.print(`dm-verity  ${build.rootHash}`)
  for (const [i, step] of steps.entries()) {
    context.print(
      `${String(i + 1).padStart(3)}  ${step.receipt.slice(4, 16)}  ${step.what} → ${step.outputs.join(', ')}`,
    )
  }
}
