import type { Command } from '../core/mod.ts'
import { showText } from './byte-path.ts'
import type { GraphStep } from './graph.ts'

const LONGEST_NAME = 64

/**
 * What a person calls a step. The name that a builder gave it stands in run halves alone, since two builders need not
 * agree on it; without one, the command speaks for itself.
 */
export function stepName(step: GraphStep): string {
  if (step.name !== undefined) return clip(showText(step.name))
  if (step.details === undefined) return 'unknown step'
  const { command } = step.details
  const script = scriptOf(command)
  return script?.trim().includes('\n') === true ? resultName(step) : commandName(command)
}

/** The program that a step runs: what steps of one kind have in common. */
export function programName(step: GraphStep): string {
  const command = step.details?.command
  if (command === undefined) return 'unknown'
  return command.builtin ?? baseName((scriptOf(command) ?? command.argv?.[0] ?? '').trim().split(/\s/)[0] ?? '')
}

function commandName(command: Command): string {
  if (command.builtin !== undefined) return showText(command.builtin.replace(/^op:/, ''))
  const [program = '', ...rest] = command.argv ?? []
  const script = scriptOf(command)
  return clip(showText(script?.trim() ?? `${baseName(program)} ${plainWords(rest)}`.trim()))
}

function scriptOf({ argv = [] }: Command): string | undefined {
  const [program = '', flags = '', script] = argv
  return /^(.*\/)?(ba|da)?sh$/.test(program) && /^-[a-z]*c$/.test(flags) ? script : undefined
}

/** A script of many lines is best known by what it makes. */
function resultName(step: GraphStep): string {
  const names = step.outputs.map(output => baseName(output.name ?? ''))
  const shown = names.slice(0, 3).join(', ')
  return clip(showText(`script: ${shown}${names.length > 3 ? ', …' : ''}`))
}

/** The whole command on one line, for people; never for a shell. */
export function commandLine(command: Command): string {
  const text = command.builtin ?? (command.argv ?? []).map(quoted).join(' ')
  return showText(text.trim().replaceAll(/\s*\n\s*/g, ' ⏎ '))
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
