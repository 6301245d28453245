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
  replay: {
    group: 'Build',
    summary: 'build an image again from what it carries, without network, and compare',
    isSandboxed: true,
    load: async () => (await import('./verbs/replay.ts')).verb,
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
  seed: {
    group: 'Capture',
    summary: 'put the history of a store into the root folder of an image to be',
    load: async () => (await import('./verbs/seed.ts')).verb,
  },
  whence: {
    group: 'Ask',
    summary: 'tell where a file of an image comes from, down to the key of the archive',
    load: async () => (await import('./verbs/whence.ts')).verb,
  },
  dag: {
    group: 'Ask',
    summary: 'draw the history of a store or an image',
    load: async () => (await import('./verbs/dag.ts')).verb,
  },
  diff: {
    group: 'Ask',
    summary: 'tell which files of two images differ, and which steps and inputs are the cause',
    load: async () => (await import('./verbs/diff.ts')).verb,
  },
  export: {
    group: 'Ask',
    summary: 'write a history in the formats of other tools',
    load: async () => (await import('./verbs/export.ts')).verb,
  },
  history: {
    group: 'Ask',
    summary: 'tell what a history holds, and verify it',
    load: async () => (await import('./verbs/history.ts')).verb,
  },
  'init-store': {
    group: 'Store',
    summary: 'make an empty store',
    load: async () => (await import('./verbs/init-store.ts')).verb,
  },
  init: {
    group: 'Store',
    summary: 'make an empty store',
    load: async () => ({ ...(await import('./verbs/init-store.ts')).verb, name: 'init' }),
  },
  put: {
    group: 'Store',
    summary: 'put files and folders into the store',
    load: async () => (await import('./verbs/put.ts')).verb,
  },
  get: {
    group: 'Store',
    summary: 'write an artifact to a file, or a tree to a folder',
    load: async () => (await import('./verbs/get.ts')).verb,
  },
  cat: {
    group: 'Store',
    summary: 'print the content of an artifact, or of a file in a tree',
    load: async () => (await import('./verbs/cat.ts')).verb,
  },
  ls: {
    group: 'Store',
    summary: 'list the artifacts of the store, or the entries of a tree',
    load: async () => (await import('./verbs/ls.ts')).verb,
  },
  log: {
    group: 'Store',
    summary: 'list the records of the log',
    load: async () => (await import('./verbs/log.ts')).verb,
  },
  snapshot: {
    group: 'Store',
    summary: 'take, list, pin and remove snapshots',
    load: async () => (await import('./verbs/snapshot.ts')).verb,
  },
  verify: {
    group: 'Store',
    summary: 'read artifacts and derive their references again',
    load: async () => (await import('./verbs/verify.ts')).verb,
  },
  check: {
    group: 'Store',
    summary: 'read the whole store and derive everything again',
    load: async () => (await import('./verbs/check.ts')).verb,
  },
  gc: {
    group: 'Store',
    summary: 'remove blocks that nothing visible needs',
    load: async () => (await import('./verbs/gc.ts')).verb,
  },
  reindex: {
    group: 'Store',
    summary: 'make lost index segments again from the log and the blocks',
    load: async () => (await import('./verbs/reindex.ts')).verb,
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
