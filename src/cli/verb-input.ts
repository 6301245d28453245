import { AslError } from '../core/mod.ts'
import type { Verb, VerbInput } from './verb.ts'

/** What the user gave, by the names of the verb's tables; asking for a name that is not there is a bug. */
export function inputOf(
  verb: Verb,
  received: readonly unknown[],
  options: Readonly<Record<string, unknown>>,
): VerbInput {
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
