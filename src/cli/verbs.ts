import type { Verb, VerbGroup } from './verb.ts'

export interface VerbEntry {
  readonly group: VerbGroup
  readonly summary: string
  load(): Promise<Verb>
}

export type VerbTable = Readonly<Record<string, VerbEntry>>

/** Every verb: its place in the help, and where it lives. A test holds group and summary against the verb itself. */
export const VERBS: VerbTable = {
  capture: {
    group: 'Capture',
    summary: 'run a command in place, and write a receipt of what it read and made',
    load: async () => (await import('./verbs/capture.ts')).verb,
  },
  doctor: {
    group: 'Host',
    summary: 'tell what this host offers, what is missing, and how to get it',
    load: async () => (await import('./verbs/doctor.ts')).verb,
  },
  completion: {
    group: 'Host',
    summary: 'print a script that completes verbs and options in your shell',
    load: async () => (await import('./verbs/completion.ts')).verb,
  },
  help: {
    group: 'Host',
    summary: 'show help for a verb, or the whole reference',
    load: async () => (await import('./verbs/help.ts')).verb,
  },
}
