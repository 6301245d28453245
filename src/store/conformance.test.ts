import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { initStore, memoryStore, openStore } from './mod.ts'
import { testStoreConformance } from './store.conformance.ts'

const scratch = mkdtempSync(join(tmpdir(), 'asl-conformance-'))
after(() => rmSync(scratch, { recursive: true }))
let count = 0

testStoreConformance(
  'memory store',
  () => memoryStore(),
  store => store,
)
testStoreConformance(
  'disk store',
  () => initStore(join(scratch, String(count++))),
  store => openStore(store.location),
)
testStoreConformance(
  'disk store whose small_max is 0',
  () => initStore(join(scratch, String(count++)), { smallMaxBytes: 0 }),
  store => openStore(store.location),
)
testStoreConformance(
  'disk store with small blocks',
  () => initStore(join(scratch, String(count++)), { smallMaxBytes: 4096, blockTargetBytes: 8192 }),
  store => openStore(store.location),
)
