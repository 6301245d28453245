import { HOST_VERBS } from './host-verbs.ts'
import { start } from './start.ts'

/** The program inside images: what a host asks of itself. It never holds the build side. */
await start(HOST_VERBS, import.meta.dirname)
