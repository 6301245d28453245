/** Writes the pages of docs/reference/ that are made from tables in the sources. A test fails when they are stale. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { referencePages } from '../src/cli/mod.ts'
import { writeFileAtomic } from '../src/sys/mod.ts'

const folder = join(import.meta.dirname, '..', 'docs', 'reference')
mkdirSync(folder, { recursive: true })
for (const [name, text] of Object.entries(await referencePages())) writeFileAtomic(join(folder, name), text)
