import { join } from 'node:path'
import { start } from './start.ts'
import { VERBS } from './verbs.ts'

await start(VERBS, join(import.meta.dirname, '..', '..'))
