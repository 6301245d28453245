import { shortReference } from '../core/mod.ts'
import type { DiffGroup, FileDifference, HistoryDiff } from './diff.ts'
import type { Cause } from './history-compare.ts'
import { formatCount } from './size-text.ts'
import type { InputSide } from './step-compare.ts'
import { stepName } from './step-name.ts'

/** What differs between two results, grouped by what made it differ. */
export function formatDiff(diff: HistoryDiff, names: { readonly a: string; readonly b: string }, shown = 20): string {
  const { added, removed, changed } = diff.counts
  const total = added + removed + changed
  const head = [`a  ${names.a}`, `b  ${names.b}`, '']
  if (total === 0 && diff.idle.length === 0) return [...head, 'No difference.'].join('\n')
  const parts = [`${changed} changed`, `${added} only in b`, `${removed} only in a`]
  return [
    ...head,
    total === 0 ? 'The files are the same.' : `${formatCount(total, 'path')} differ: ${parts.join(', ')}.`,
    ...diff.groups.flatMap(group => ['', ...groupLines(group, shown)]),
    ...(diff.idle.length === 0
      ? []
      : ['', 'Without effect on the files:', ...diff.idle.flatMap(cause => causeLines(cause))]),
  ].join('\n')
}

/** Why two receipts differ, as text. */
export function formatCauses(causes: readonly Cause[]): string {
  return causes.length === 0 ? 'No difference.' : causes.flatMap(cause => causeLines(cause)).join('\n')
}

function groupLines({ cause, files, omitted }: DiffGroup, shown: number): readonly string[] {
  const rest = files.length + omitted - shown
  return [
    ...(cause === undefined ? ['no receipt says why'] : causeLines(cause)),
    ...files.slice(0, shown).map(fileText),
    ...(rest > 0 ? [`    … and ${rest.toLocaleString('en-US')} more`] : []),
  ]
}

const SIGNS = { added: '+', removed: '-', changed: '~' } as const

function fileText({ path, kind, fields }: FileDifference): string {
  return `    ${SIGNS[kind]} ${path}${fields.length === 0 ? '' : `  (${fields.join(', ')})`}`
}

function causeLines({ a, b, change }: Cause): readonly string[] {
  const step = a ?? b
  const refs = [a, b].map(side => (side === undefined ? '' : shortReference(side.ref))).filter(Boolean)
  const title = `${step === undefined ? '' : stepName(step)}  [${refs.join(' | ')}]`
  switch (change.kind) {
    case 'command':
      return [`${title}: another command`, `  a: ${change.a}`, `  b: ${change.b}`]
    case 'environment':
      return [`${title}: another environment, ${change.field}`, `  a: ${change.a}`, `  b: ${change.b}`]
    case 'input':
      return [
        `${title}: ${inputTitle(change.a, change.b)} ${change.role}`,
        ...inputLines('a', change.a),
        ...inputLines('b', change.b),
      ]
    case 'chance':
      return [`${title}: same command, environment and inputs, yet another result`]
    case 'unknown':
      return [`${title}: the receipt is not in the store`]
    case 'step-added':
      return [`${title}: only b has this step`]
    case 'step-removed':
      return [`${title}: only a has this step`]
  }
}

function inputTitle(a: InputSide | undefined, b: InputSide | undefined): string {
  return a === undefined ? 'one more' : b === undefined ? 'one less' : 'another'
}

function inputLines(side: string, input: InputSide | undefined): readonly string[] {
  return input === undefined ? [] : [`  ${side}: ${input.name}  ${shortReference(input.ref)}`]
}
