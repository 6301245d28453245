import type { Verb, VerbGroup } from './verb.ts'

export interface VerbEntry {
  readonly group: VerbGroup
  readonly summary: string
  /** Runs in mount and user namespaces of its own: it makes sandboxes. */
  readonly isSandboxed?: boolean
  load(): Promise<Verb>
}

export type VerbTable = Readonly<Record<string, VerbEntry>>

/** Every verb: its place in the help, and where it lives. A test holds group and summary against the verb itself. */
export const VERBS: VerbTable = {
  build: {
    group: 'Build',
    summary: 'build an image from a recipe, every step with a receipt',
    isSandboxed: true,
    load: async () => (await import('./verbs/build.ts')).verb,
  },
  history: {
    group: 'Ask',
    summary: 'tell what a history holds, and verify it',
    load: async () => (await import('./verbs/history.ts')).verb,
  },
  boot: {
    group: 'Build',
    summary: 'boot an image in QEMU, or test that it boots',
    load: async () => (await import('./verbs/boot.ts')).verb,
  },
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
