import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

const projectRoot = join(import.meta.dirname, '..', '..')

// Compiled modules are kept from one start to the next: three times as fast. Where the folder cannot be written, they are not.
enableCompileCache(join(projectRoot, 'node_modules', '.cache', 'compiled'))

const { start } = await import('./start.ts')
const { VERBS } = await import('./verbs.ts')
await start(VERBS, projectRoot)
