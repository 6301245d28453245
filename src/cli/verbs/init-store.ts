import { initStore } from '../../store/mod.ts'
import { storePathOf } from '../store-path.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'init-store',
  group: 'Store',
  summary: 'make an empty store',
  description:
    'Makes the folders of a store, its log and meta/store.json, and the folders for people: binaries scripts per runs. ' +
    'A store belongs to one domain for life.',
  options: [
    STORE_OPTION,
    { flags: '--domain ID', summary: 'the domain: a UUID, or a name that stands for one', defaultText: 'a new UUID' },
    { flags: '--small-max BYTES', summary: 'content up to this size shares blocks', defaultText: '1048576' },
    JSON_OPTION,
  ],
  run: initialise,
}

async function initialise(context: Context, input: VerbInput): Promise<undefined> {
  const domainId = input.tryText('domain')
  const smallMaxBytes = input.tryNumber('small-max')
  const store = initStore(storePathOf(context, input), {
    withViews: true,
    ...(domainId === undefined ? {} : { domainId }),
    ...(smallMaxBytes === undefined ? {} : { smallMaxBytes }),
  })
  try {
    if (input.flag('json')) context.print(JSON.stringify({ store: store.location, domain_id: store.config.domainId }))
    else context.print(`${store.location}  domain ${store.config.domainId}`)
  } finally {
    store.close()
  }
}
