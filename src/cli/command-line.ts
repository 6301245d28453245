import { Command, CommanderError, Option } from 'commander'
import { AslError } from '../core/mod.ts'
import type { ArgSpec, Context, OptionSpec, Verb, VerbInput } from './verb.ts'
import { VERBS } from './verbs.ts'

/**
 * Parses the words and runs their verb.
 * @returns the exit status
 * @throws AslError USAGE for words that do not fit the tables
 */
export async function runCommandLine(context: Context, words: readonly string[]): Promise<number> {
  let status = 0
  const wanted = words[0]
  const top = new Command('asl')
    .description('Bootable Linux images whose every byte has a receipt.')
    .exitOverride()
    .configureOutput({
      writeOut: text => context.print(text.trimEnd()),
      writeErr: () => {}, // commander's own error line: ours is printed in its place
    })
    .helpOption('-h, --help', 'show help')
    .showSuggestionAfterError(true)
    .enablePositionalOptions()
  for (const [name, entry] of Object.entries(VERBS)) {
    // Only the wanted verb's file is loaded: a short start matters more than a complete table in memory.
    if (name !== wanted) {
      top.command(name, { hidden: false }).summary(entry.summary).helpGroup(`${entry.group}:`)
      continue
    }
    const verb = await entry.load()
    top.addCommand(
      commandOf(verb, context, async input => {
        status = (await verb.run(context, input)) ?? 0
      }),
    )
  }
  try {
    await top.parseAsync(words.length === 0 ? ['--help'] : [...words], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0
    throw new AslError('USAGE', sentence(error.message), {
      hint:
        wanted !== undefined && wanted in VERBS
          ? `'asl ${wanted} --help' shows its options.`
          : "'asl --help' lists the verbs.",
    })
  }
  return status
}

function commandOf(verb: Verb, context: Context, act: (input: VerbInput) => Promise<void>): Command {
  const command = new Command(verb.name)
    .summary(verb.summary)
    .description(`${verb.summary}.${verb.description === undefined ? '' : `\n\n${verb.description}`}`)
    .helpGroup(`${verb.group}:`)
    .exitOverride()
    .configureOutput({ writeOut: text => context.print(text.trimEnd()), writeErr: () => {} })
    .helpOption('-h, --help', 'show help')
    .allowExcessArguments(false)
  if ((verb.args ?? []).some(arg => arg.isVariadic === true)) command.passThroughOptions()
  for (const arg of verb.args ?? []) command.argument(argumentForm(arg), arg.summary)
  for (const spec of verb.options ?? []) command.addOption(optionOf(spec))
  command.action(async (...received: unknown[]) => {
    const options = received[(verb.args ?? []).length] as Record<string, unknown>
    await act(inputOf(verb, received, options))
  })
  return command
}

function argumentForm(arg: ArgSpec): string {
  const name = `${arg.name}${arg.isVariadic === true ? '...' : ''}`
  return arg.isOptional === true ? `[${name}]` : `<${name}>`
}

function optionOf(spec: OptionSpec): Option {
  const [flag, value] = spec.flags.split(' ')
  const summary = spec.defaultText === undefined ? spec.summary : `${spec.summary} (default: ${spec.defaultText})`
  const option = new Option(value === undefined ? `${flag}` : `${flag} <${value}>`, summary)
  if (spec.choices !== undefined) option.choices([...spec.choices])
  if (spec.isRepeatable === true) {
    option.argParser<string[]>((next, before) => [...(before ?? []), next])
  }
  return option
}

function inputOf(verb: Verb, received: readonly unknown[], options: Readonly<Record<string, unknown>>): VerbInput {
  const argIndex = (name: string): number => {
    const index = (verb.args ?? []).findIndex(arg => arg.name === name)
    if (index < 0) throw new Error(`verb ${verb.name} has no argument ${name}`)
    return index
  }
  const option = (name: string): unknown => {
    const spec = (verb.options ?? []).find(candidate => candidate.flags.split(' ')[0] === `--${name}`)
    if (spec === undefined) throw new Error(`verb ${verb.name} has no option --${name}`)
    return options[name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())]
  }
  const input: VerbInput = {
    arg: name => received[argIndex(name)] as string,
    tryArg: name => received[argIndex(name)] as string | undefined,
    args: name => (received[argIndex(name)] as string[] | undefined) ?? [],
    tryText: name => option(name) as string | undefined,
    text: name => {
      const value = input.tryText(name)
      if (value === undefined) throw new AslError('USAGE', `asl ${verb.name} wants --${name}`)
      return value
    },
    texts: name => (option(name) as string[] | undefined) ?? [],
    flag: name => option(name) === true,
    tryNumber: name => {
      const value = input.tryText(name)
      if (value === undefined) return undefined
      if (!/^\d{1,15}$/.test(value)) throw new AslError('USAGE', `--${name} wants a whole number, not "${value}"`)
      return Number(value)
    },
  }
  return input
}

/** Commander says `error: unknown command 'x'`; ours starts with a capital and has no prefix. */
function sentence(message: string): string {
  const bare = message.replace(/^error: /, '')
  return bare.charAt(0).toUpperCase() + bare.slice(1)
}
