/** The reference pages under docs/reference/, made from the tables that the programs themselves run on. */
import { ERROR_CODES, type ErrorCode } from '../core/mod.ts'
import { RECIPE_SCHEMA } from '../image/mod.ts'
import { argumentForm } from './command-line.ts'
import { VERB_GROUPS, type Verb } from './verb.ts'
import { VERBS, type VerbTable } from './verbs.ts'

const MADE = '<!-- made by `make reference` from the tables in src/; do not edit -->'

/** The pages by file name. */
export async function referencePages(): Promise<Readonly<Record<string, string>>> {
  return {
    'cli.md': await commandPage(VERBS),
    'errors.md': errorPage(),
    'schemas/recipe.json': `${JSON.stringify(RECIPE_SCHEMA, undefined, 2)}\n`,
  }
}

/** Every verb with its arguments and options. */
export async function commandPage(verbs: VerbTable): Promise<string> {
  const loaded = await Promise.all(Object.values(verbs).map(entry => entry.load()))
  const parts = [
    '# Commands',
    MADE,
    'Data goes to standard output, talk to standard error. The exit status tells what to do next: see [errors](errors.md).\n' +
      'With `--json` a failure is an object with the member `error` on standard output.',
  ]
  for (const group of VERB_GROUPS) {
    const members = loaded.filter(verb => verb.group === group)
    if (members.length > 0) parts.push(`## ${group}`, ...members.map(verbPart))
  }
  return `${parts.join('\n\n')}\n`
}

function verbPart(verb: Verb): string {
  const { name, summary, description, args = [], options = [] } = verb
  const call = ['asl', name, ...(options.length > 0 ? ['[OPTIONS]'] : []), ...args.map(argumentForm)].join(' ')
  const parts = [`### ${name}`, `\`${call}\``, `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`]
  if (description !== undefined) parts.push(description.replace(/(\S)\n(?=\S)/g, '$1  \n')) // a line break in Markdown
  const rows = [
    ...args.map(arg => [argumentForm(arg), arg.summary]),
    ...options.map(option => [
      option.flags,
      option.summary +
        (option.choices === undefined ? '' : `: ${option.choices.join(', ')}`) +
        (option.defaultText === undefined ? '' : `. Default: ${option.defaultText}`),
    ]),
  ]
  if (rows.length > 0) parts.push(['| | |', '| --- | --- |', ...rows.map(rowText)].join('\n'))
  return parts.join('\n\n')
}

function rowText([term = '', text = '']: readonly string[]): string {
  return `| \`${term.replaceAll('|', '\\|')}\` | ${text.replaceAll('|', '\\|').replaceAll('<', '&lt;')} |`
}

/** What a caller does next, by exit status: the groups of `ERROR_CODES`. */
const NEXT: Readonly<Record<number, string>> = {
  2: 'correct the call or the file that it reads',
  3: 'what was asked for is not there',
  4: 'something is damaged: the message names it; restore it from a copy',
  5: 'not allowed',
  6: 'try again: the network, the disk or another machine failed',
  7: 'another writer or another content is in the way',
  8: 'too large for the limits that are set',
  9: 'the captured command failed; the message says how to replay it',
  10: 'the machine lacks a program or a feature: `asl doctor`',
  11: 'a check ran to its end and found differences',
  130: 'stopped by a signal; the same command goes on where it stopped',
}

/** Every error code with its exit status and HTTP status. */
export function errorPage(): string {
  const lines = [
    '# Exit statuses and error codes',
    '',
    MADE,
    '',
    'An error has one code. Programs look at the code or at the exit status, never at the text of the message.',
    '0 is success and 1 a bug of asl; a captured command passes its own exit status on.',
  ]
  for (const [status, next] of Object.entries(NEXT)) {
    const codes = (Object.keys(ERROR_CODES) as ErrorCode[]).filter(code => ERROR_CODES[code][0] === Number(status))
    lines.push('', `## ${status}: ${next}`, '', '| code | HTTP status |', '| --- | --- |')
    for (const code of codes) lines.push(`| \`${code}\` | ${ERROR_CODES[code][1]} |`)
  }
  return `${lines.join('\n')}\n`
}
