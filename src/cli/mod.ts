/**
 * Cli: one file per verb under `verbs/`, the table that lists them, parsing, rendering and exit statuses. The only
 * room that prints, reads the environment or exits. Data goes to standard output, talk to standard error.
 */
export { runCommandLine } from './command-line.ts'
export { referencePages } from './reference.ts'
export type { Context, Verb, VerbInput } from './verb.ts'
export { VERBS } from './verbs.ts'
