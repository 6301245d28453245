import type { Command } from '../core/mod.ts'
import { showText } from './byte-path.ts'
import type { GraphStep } from './graph.ts'

const LONGEST_NAME = 64

/** What a person calls a step. A receipt holds no name, so that two builders agree on it; the command gives one. */
export function stepName(step: GraphStep): string {
  return step.details === undefined ? 'unknown step' : commandName(step.details.command)
}

export function commandName(command: Command): string {
  if (command.builtin !== undefined) return showText(command.builtin.replace(/^op:/, ''))
  const [program = '', ...rest] = command.argv ?? []
  const script = /^(.*\/)?(ba|da)?sh$/.test(program) && /^-[a-z]*c$/.test(rest[0] ?? '') ? rest[1] : undefined
  return script === undefined ? clip(showText(`${baseName(program)} ${plainWords(rest)}`.trim())) : scriptName(script)
}

/** The whole command on one line, for people; never for a shell. */
export function commandLine(command: Command): string {
  return showText(command.builtin ?? (command.argv ?? []).map(quoted).join(' '))
}

/** The first line of a script that does something. */
function scriptName(script: string): string {
  const line = script.split('\n').find(text => !/^\s*(#|set\s|$)/.test(text)) ?? script
  return clip(showText(line.trim()))
}

/** Options say how, words say what. */
function plainWords(words: readonly string[]): string {
  return words.filter(word => !word.startsWith('-')).join(' ')
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function clip(text: string): string {
  const characters = [...text]
  return characters.length <= LONGEST_NAME ? text : `${characters.slice(0, LONGEST_NAME - 1).join('')}…`
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
