import type { VerbTable } from './verbs.ts'

/** The verbs of the program inside images, loaded like those of the whole program. */
export const HOST_VERBS: VerbTable = {
  history: {
    group: 'Ask',
    summary: 'tell what a history holds, and verify it',
    load: async () => (await import('./verbs/history.ts')).verb,
  },
}
