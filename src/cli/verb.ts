import type { Clock } from '../sys/mod.ts'

/** One verb of the command line, described once: parsing, help, completion and the reference page come from this table. */
export interface Verb {
  readonly name: string
  readonly group: VerbGroup
  /** One line, no full stop. */
  readonly summary: string
  /** Further paragraphs for `--help`. */
  readonly description?: string
  readonly args?: readonly ArgSpec[]
  readonly options?: readonly OptionSpec[]
  /** The exit status is 0 unless a number is returned. */
  run(context: Context, input: VerbInput): Promise<number | undefined>
}

/** In the order of the help. */
export const VERB_GROUPS = ['Build', 'Capture', 'Ask', 'Store', 'Host'] as const
export type VerbGroup = (typeof VERB_GROUPS)[number]

export interface ArgSpec {
  /** Upper case, as shown in the help: `IMAGE`. */
  readonly name: string
  readonly summary: string
  readonly isOptional?: boolean
  /** Takes all that is left. */
  readonly isVariadic?: boolean
  readonly choices?: readonly string[]
}

export interface OptionSpec {
  /** `--store DIR` takes a value, `--json` does not. */
  readonly flags: string
  readonly summary: string
  readonly isRepeatable?: boolean
  readonly choices?: readonly string[]
  readonly defaultText?: string
}

/** What the user gave. Names are those of the tables; asking for a name that is not there is a bug. */
export interface VerbInput {
  arg(name: string): string
  tryArg(name: string): string | undefined
  args(name: string): readonly string[]
  /** @throws AslError USAGE when the option was not given */
  text(option: string): string
  tryText(option: string): string | undefined
  texts(option: string): readonly string[]
  flag(option: string): boolean
  /** A whole number. @throws AslError USAGE */
  tryNumber(option: string): number | undefined
}

/** The world a verb lives in: passed in, so that tests give it another one. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly clock: Clock
  readonly isTerminal: boolean
  /** The folder of the project: recipes, overlays, sources. */
  readonly projectRoot: string
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  /** Data: standard output, one line. */
  print(line: string): void
  /** Data as bytes, unchanged. */
  write(bytes: Uint8Array): void
  /** Talk: standard error, one line. */
  say(line: string): void
  /** Bytes for standard error, unchanged: what a captured program prints there. */
  writeError?(bytes: Uint8Array): void
  /** Standard error as a terminal, for moving lines; absent when it is none. */
  readonly screen?: Screen
}

/** Where moving lines are drawn. */
export interface Screen {
  write(text: string): void
  columns(): number
}

export const JSON_OPTION: OptionSpec = { flags: '--json', summary: 'print JSON instead of text' }
export const STORE_OPTION: OptionSpec = {
  flags: '--store DIR',
  summary: 'the store to use',
  defaultText: '$ASL_STORE, else .asl/store in the project',
}
