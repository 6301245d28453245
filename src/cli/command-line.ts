import { Argument, Command, CommanderError, Option } from 'commander'
import { AslError, nearestNames } from '../core/mod.ts'
import { type ArgSpec, type Context, type OptionSpec, VERB_GROUPS, type Verb, type VerbInput } from './verb.ts'
import { inputOf } from './verb-input.ts'
import type { VerbTable } from './verbs.ts'
import { versionOf } from './version.ts'

const FOOTER = `'asl VERB --help' tells more about a verb. Exit statuses and error codes: docs/reference/errors.md`

/**
 * Parses the words and runs their verb.
 * @returns the exit status
 * @throws AslError USAGE for words that do not fit the tables
 */
export async function runCommandLine(context: Context, words: readonly string[], verbs: VerbTable): Promise<number> {
  const [first = '--help', ...rest] = words
  if (first === '--version' || first === '-V') {
    context.print(`asl ${versionOf(context.projectRoot)}`)
    return 0
  }
  if (first === '--help' || first === '-h') {
    context.print(overview(verbs))
    return 0
  }
  const entry = Object.hasOwn(verbs, first) ? verbs[first] : undefined
  if (entry === undefined) throw unknownVerb(first, verbs)
  // Only the wanted verb's file is loaded: a short start matters more than a complete table in memory.
  const verb = await entry.load()
  let status = 0
  const command = commandOf(verb, context, async input => {
    status = (await verb.run(context, input)) ?? 0
  })
  try {
    await command.parseAsync(rest, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0
    throw usageError(verb, error)
  }
  return status
}

/** The list of all verbs by group, as `asl --help` shows it. */
function overview(verbs: VerbTable): string {
  const top = new Command('asl')
    .usage('VERB [OPTIONS] [ARGUMENTS]')
    .description('Bootable Linux images whose every byte has a receipt.')
    .option('-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .configureHelp({ subcommandTerm: command => command.name() })
  for (const group of VERB_GROUPS) {
    for (const [name, entry] of Object.entries(verbs)) {
      if (entry.group === group) top.command(name).summary(entry.summary).helpGroup(`${group}:`)
    }
  }
  return `${top.helpInformation().trimEnd()}\n\n${FOOTER}`
}

function commandOf(verb: Verb, context: Context, act: (input: VerbInput) => Promise<void>): Command {
  const command = new Command(`asl ${verb.name}`)
    .description(sentence(verb.summary) + (verb.description === undefined ? '.' : `.\n\n${verb.description}`))
    .exitOverride()
    .configureOutput({ writeOut: text => context.print(text.trimEnd()), writeErr: () => {} }) // the error line is ours
    .helpOption('-h, --help', 'show help')
    .showSuggestionAfterError(false)
    .allowExcessArguments(false)
  for (const spec of verb.args ?? []) command.addArgument(argumentOf(spec))
  for (const spec of verb.options ?? []) command.addOption(optionOf(spec))
  return command.action(async (...received: unknown[]) => {
    const options = received[(verb.args ?? []).length] as Record<string, unknown>
    await act(inputOf(verb, received, options))
  })
}

/** `<IMAGE>`, `[IMAGE]`, `<REF...>`: as commander wants it, and as the reference page shows it. */
export function argumentForm(arg: ArgSpec): string {
  const name = `${arg.name}${arg.isVariadic === true ? '...' : ''}`
  return arg.isOptional === true ? `[${name}]` : `<${name}>`
}

function argumentOf(spec: ArgSpec): Argument {
  const argument = new Argument(argumentForm(spec), spec.summary)
  return spec.choices === undefined ? argument : argument.choices([...spec.choices])
}

function optionOf(spec: OptionSpec): Option {
  const [flag, value] = spec.flags.split(' ')
  const summary = spec.defaultText === undefined ? spec.summary : `${spec.summary} (default: ${spec.defaultText})`
  const option = new Option(value === undefined ? `${flag}` : `${flag} <${value}>`, summary)
  if (spec.choices !== undefined) option.choices([...spec.choices])
  if (spec.isRepeatable === true) {
    const check = option.parseArg
    option.argParser<string[]>((next, before) => {
      check?.(next, undefined) // throws for a value that is none of the choices
      return [...(before ?? []), next]
    })
  }
  return option
}

function unknownVerb(word: string, verbs: VerbTable): AslError {
  const what = word.startsWith('-') ? 'option' : 'verb'
  const known = what === 'verb' ? Object.keys(verbs) : ['--help', '--version']
  return new AslError('USAGE', `Unknown ${what} "${word}"${didYouMean(word, known)}`, {
    hint: "'asl --help' lists the verbs.",
  })
}

/** Commander's error as one sentence of ours, with the word that was typed and the one that was probably meant. */
function usageError(verb: Verb, error: CommanderError): AslError {
  const hint = `'asl ${verb.name} --help' shows its arguments and options.`
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? ''
  const say = (message: string): AslError => new AslError('USAGE', message, { hint })
  switch (error.code) {
    case 'commander.unknownOption': {
      const flag = quoted.split('=')[0] as string
      const known = (verb.options ?? []).map(({ flags }) => flags.split(' ')[0] as string)
      const isForCommand = (verb.args ?? []).some(({ isVariadic }) => isVariadic === true)
      const more = didYouMean(flag, [...known, '--help'])
      const after = more === '' && isForCommand ? '; write "--" before words that are not for asl' : more
      return say(`asl ${verb.name} has no option ${flag}${after}`)
    }
    case 'commander.missingArgument':
      return say(`asl ${verb.name} wants ${quoted}`)
    case 'commander.optionMissingArgument':
      return say(`Option ${quoted} wants a value`)
    case 'commander.excessArguments':
      return say(`asl ${verb.name} takes ${countOf((verb.args ?? []).length)}, and more was given`)
    default:
      return say(sentence(error.message))
  }
}

function didYouMean(word: string, known: readonly string[]): string {
  const [near] = nearestNames(word, known, 1)
  return near === undefined ? '' : `; did you mean "${near}"?`
}

function countOf(count: number): string {
  return count === 0 ? 'no argument' : count === 1 ? 'one argument' : `${count} arguments`
}

/** With a capital, and without the prefix of commander's `error: option '--for' …`. */
function sentence(message: string): string {
  const bare = message.replace(/^error: /, '')
  return bare.charAt(0).toUpperCase() + bare.slice(1)
}
