import { AslError } from '../../core/mod.ts'
import {
  type DiskStore,
  expireSnapshots,
  listSnapshots,
  pinSnapshot,
  removeSnapshot,
  type SnapshotInfo,
  takeSnapshot,
  unpinSnapshot,
} from '../../store/mod.ts'
import { parseDuration } from '../duration.ts'
import { openStoreOf } from '../open-store.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'snapshot',
  group: 'Store',
  summary: 'take, list, pin and remove snapshots',
  description:
    'A snapshot names the state of the store after a log record. What a pinned one holds is kept from gc; the newest is ' +
    'never removed. `expire` removes those that are older than --retention.',
  args: [
    {
      name: 'ACTION',
      summary: 'what to do; list when it is not given',
      isOptional: true,
      choices: ['list', 'take', 'pin', 'unpin', 'remove', 'expire'],
    },
    { name: 'ID', summary: 'the number of a snapshot', isOptional: true },
  ],
  options: [
    STORE_OPTION,
    { flags: '--pin WHY', summary: 'with take and pin: the reason why it is kept' },
    { flags: '--retention TIME', summary: 'with expire: 30d, 12h, 2w' },
    JSON_OPTION,
  ],
  run: snapshot,
}

async function snapshot(context: Context, input: VerbInput): Promise<undefined> {
  const store = openStoreOf(context, input)
  try {
    act(context, store, input)
  } finally {
    store.close()
  }
}

function act(context: Context, store: DiskStore, input: VerbInput): void {
  const action = input.tryArg('ACTION') ?? 'list'
  const pin = input.tryText('pin')
  switch (action) {
    case 'list':
      for (const info of listSnapshots(store)) show(context, input, info)
      return
    case 'take':
      show(context, input, takeSnapshot(store, pin === undefined ? {} : { pin }))
      return
    case 'pin':
      pinSnapshot(store, wantedId(input), input.text('pin'))
      return
    case 'unpin':
      unpinSnapshot(store, wantedId(input))
      return
    case 'remove':
      removeSnapshot(store, wantedId(input))
      return
    case 'expire': {
      const removed = expireSnapshots(store, parseDuration(input.text('retention')), context.clock.nowMs())
      if (input.flag('json')) context.print(JSON.stringify({ removed }))
      else for (const id of removed) context.print(`removed snapshot ${id}`)
      return
    }
    default:
      throw new AslError('USAGE', `asl snapshot does not know "${action}"`, {
        hint: 'It takes list, take, pin, unpin, remove or expire.',
      })
  }
}

function wantedId(input: VerbInput): number {
  const text = input.tryArg('ID') ?? ''
  if (!/^\d{1,15}$/.test(text))
    throw new AslError('USAGE', `asl snapshot wants the number of a snapshot, not "${text}"`)
  return Number(text)
}

function show(context: Context, input: VerbInput, info: SnapshotInfo): void {
  const { snapshotId, logPrefix, rootHash, pin } = info
  if (input.flag('json')) {
    const view = { snapshot_id: snapshotId, log_prefix: logPrefix, root_hash: rootHash, pinned: pin ?? null }
    context.print(JSON.stringify(view))
  } else {
    context.print(
      `${String(snapshotId).padStart(6)}  log ${logPrefix}  ${rootHash}${pin === undefined ? '' : `  pinned: ${pin}`}`,
    )
  }
}
