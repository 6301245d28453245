/** Completion scripts: made once from the tables, so that a key press starts no program. */
import type { OptionSpec, Verb } from './verb.ts'

/** Words are letters, digits and `-` only: the tables are ours, and a test holds them to it. */
export function bashCompletion(verbs: readonly Verb[]): string {
  const names = [...verbs.map(({ name }) => name), '--help', '--version'].join(' ')
  const values = verbs.flatMap(verb => optionsWithChoices(verb).map(option => bashValues(verb, option)))
  const words = verbs.map(verb => `    ${verb.name}) words='${wordsOf(verb).join(' ')}' ;;`)
  return `# completes asl in bash: source <(asl completion bash)
_asl() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names}' -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]} $before" in
${values.join('\n')}
  esac
  case "\${COMP_WORDS[1]}" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -o bashdefault -F _asl asl
`
}

function bashValues(verb: Verb, option: OptionSpec): string {
  const values = option.choices?.join(' ') ?? ''
  return `    '${verb.name} ${flagOf(option)}') COMPREPLY=($(compgen -W '${values}' -- "$current")); return ;;`
}

export function zshCompletion(verbs: readonly Verb[]): string {
  const list = verbs.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`)
  const cases = verbs.map(verb => {
    const specs = [...(verb.options ?? []).map(zshOption), "'--help[show help]'", ...(verb.args ?? []).map(zshArgument)]
    return `    ${verb.name}) _arguments -s ${specs.join(' ')} ;;`
  })
  return `#compdef asl
# completes asl in zsh: source <(asl completion zsh)
_asl() {
  local -a verbs=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  local verb=$words[2]
  shift words
  (( CURRENT-- ))
  case $verb in
${cases.join('\n')}
  esac
}
compdef _asl asl
`
}

function zshOption(option: OptionSpec): string {
  const [flag, value] = option.flags.split(' ')
  const values = option.choices === undefined ? '_files' : `(${option.choices.join(' ')})`
  const action = value === undefined ? '' : `:${value}:${values}`
  const repeat = option.isRepeatable === true ? '*' : ''
  return quoted(`${repeat}${flag}[${option.summary.replace(/[[\]:\\]/g, '\\$&')}]${action}`)
}

function zshArgument(arg: {
  readonly name: string
  readonly choices?: readonly string[]
  readonly isVariadic?: boolean
}): string {
  return quoted(
    `${arg.isVariadic === true ? '*' : ''}:${arg.name}:${arg.choices === undefined ? '_files' : `(${arg.choices.join(' ')})`}`,
  )
}

export function fishCompletion(verbs: readonly Verb[]): string {
  const lines = ['# completes asl in fish: asl completion fish | source']
  for (const verb of verbs) {
    lines.push(`complete -c asl -n __fish_use_subcommand -f -a ${verb.name} -d ${quoted(verb.summary)}`)
    const here = `complete -c asl -n '__fish_seen_subcommand_from ${verb.name}'`
    for (const option of verb.options ?? []) {
      const [flag = '', value] = option.flags.split(' ')
      const values = option.choices === undefined ? ' -r' : ` -x -a ${quoted(option.choices.join(' '))}`
      lines.push(`${here} -l ${flag.slice(2)}${value === undefined ? '' : values} -d ${quoted(option.summary)}`)
    }
    for (const arg of verb.args ?? []) {
      if (arg.choices !== undefined) lines.push(`${here} -f -a ${quoted(arg.choices.join(' '))}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function optionsWithChoices(verb: Verb): readonly OptionSpec[] {
  return (verb.options ?? []).filter(({ choices }) => choices !== undefined)
}

/** What may stand anywhere after the verb, beside file names. */
function wordsOf(verb: Verb): readonly string[] {
  return [...(verb.args ?? []).flatMap(({ choices }) => choices ?? []), ...(verb.options ?? []).map(flagOf), '--help']
}

function flagOf(option: OptionSpec): string {
  return option.flags.split(' ')[0] as string
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
