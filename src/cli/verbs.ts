import type { Verb, VerbGroup } from './verb.ts'

interface VerbEntry {
  readonly group: VerbGroup
  readonly summary: string
  load(): Promise<Verb>
}

/** Every verb: its place in the help, and where it lives. A test holds group and summary against the verb itself. */
export const VERBS: Readonly<Record<string, VerbEntry>> = {}
