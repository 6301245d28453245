import type { Command, Environment, Reference } from '../core/mod.ts'
import { showText } from './byte-path.ts'
import type { GraphInput, GraphStep } from './graph.ts'

/** One way in which two steps of the same place in two histories differ by themselves, not because of earlier steps. */
export type StepChange =
  | { readonly kind: 'command'; readonly a: string; readonly b: string }
  | { readonly kind: 'environment'; readonly field: string; readonly a: string; readonly b: string }
  | {
      readonly kind: 'input'
      readonly role: string
      readonly a: InputSide | undefined
      readonly b: InputSide | undefined
    }
  /** Same command, environment and inputs, other outputs: chance, time, or something the step saw that no receipt names. */
  | { readonly kind: 'chance' }
  /** The receipt of one side is not in its store, so nothing can be compared. */
  | { readonly kind: 'unknown' }

export interface InputSide {
  readonly name: string
  readonly ref: Reference
}

export interface StepComparison {
  readonly changes: readonly StepChange[]
  /** Inputs that differ and that steps of both histories made: look there. */
  readonly derived: readonly (readonly [a: Reference, b: Reference])[]
}

/** Tells whether an artifact came out of a step of its history. */
export type IsMade = (ref: Reference) => boolean

export function compareSteps(a: GraphStep, b: GraphStep, isMadeInA: IsMade, isMadeInB: IsMade): StepComparison {
  if (a.details === undefined || b.details === undefined) return { changes: [{ kind: 'unknown' }], derived: [] }
  const changes: StepChange[] = []
  const derived: (readonly [Reference, Reference])[] = []
  if (a.details.receipt.functionRef !== b.details.receipt.functionRef) {
    changes.push({ kind: 'command', ...commandSides(a.details.command, b.details.command) })
  }
  changes.push(...environmentChanges(a.details.environment, b.details.environment))
  const { rootRef: rootA } = a.details.environment
  const { rootRef: rootB } = b.details.environment
  const pairs = pairInputs(a.inputs, b.inputs)
  if (rootA !== undefined && rootB !== undefined) pairs.push([rootInput(rootA), rootInput(rootB)])
  for (const [left, right] of pairs) {
    if (left?.ref === right?.ref) continue
    const role = (left ?? right)?.role ?? 'input'
    if (left !== undefined && right !== undefined && isMadeInA(left.ref) && isMadeInB(right.ref)) {
      derived.push([left.ref, right.ref])
    } else if (role !== 'receipt') {
      changes.push({ kind: 'input', role, a: left && sideOf(left), b: right && sideOf(right) })
    }
  }
  const isOutputSame = a.details.receipt.outputRef === b.details.receipt.outputRef
  if (changes.length === 0 && derived.length === 0 && !isOutputSame && !hasReceiptChange(pairs)) {
    changes.push({ kind: 'chance' })
  }
  return { changes, derived }
}

type InputPair = readonly [a: GraphInput | undefined, b: GraphInput | undefined]

/** A different receipt of an earlier step is a consequence: the trees between the steps say it better. */
function hasReceiptChange(pairs: readonly InputPair[]): boolean {
  return pairs.some(([a, b]) => (a ?? b)?.role === 'receipt' && a?.ref !== b?.ref)
}

function rootInput(ref: Reference): GraphInput {
  return { ref, name: 'the tree that the step ran in', role: 'tree' }
}

function sideOf(input: GraphInput): InputSide {
  return { name: showText(input.name ?? input.ref), ref: input.ref }
}

/** What differs: words and lines that both commands begin or end with are left out. */
function commandSides(a: Command, b: Command): { readonly a: string; readonly b: string } {
  const [left, right] = [commandLines(a), commandLines(b)]
  let start = 0
  while (start < left.length && left[start] === right[start]) start++
  let end = 0
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end++
  if (start === left.length && start === right.length) return { a: detailsOf(a), b: detailsOf(b) }
  const shown = (lines: readonly string[]): string =>
    `${start > 0 ? '… ' : ''}${showText(lines.slice(start, lines.length - end).join(' ⏎ '))}${end > 0 ? ' …' : ''}`
  return { a: shown(left), b: shown(right) }
}

function commandLines(command: Command): readonly string[] {
  return (command.argv ?? [command.builtin ?? '']).flatMap(word => word.trim().split(/\s*\n\s*/))
}

function detailsOf(command: Command): string {
  const { argv: _argv, builtin: _builtin, ...rest } = command
  return showText(JSON.stringify(rest))
}

function environmentChanges(a: Environment, b: Environment): readonly StepChange[] {
  const changes: StepChange[] = []
  const note = (field: string, left: unknown, right: unknown): void => {
    if (left === right) return
    const shown = (value: unknown): string => (value === undefined ? 'nothing' : showText(String(value)))
    changes.push({ kind: 'environment', field, a: shown(left), b: shown(right) })
  }
  for (const field of ['arch', 'network', 'umask', 'sourceDateEpoch', 'uid', 'gid', 'hostname'] as const) {
    note(field, a[field], b[field])
  }
  for (const name of new Set([...Object.keys(a.vars), ...Object.keys(b.vars)]))
    note(`$${showText(name)}`, a.vars[name], b.vars[name])
  if ((a.rootRef === undefined) !== (b.rootRef === undefined)) note('root', a.rootRef, b.rootRef)
  return changes
}

/**
 * Pairs inputs by name; of what is left, packages of one name and architecture, since the version is part of a
 * package's URL, and package lists of one place, whose by-hash URL holds their digest.
 */
function pairInputs(a: readonly GraphInput[], b: readonly GraphInput[]): InputPair[] {
  const pairs: InputPair[] = []
  const rest = new Map(b.map(input => [input.name ?? input.ref, input]))
  const unpaired: GraphInput[] = []
  for (const input of a) {
    const same = rest.get(input.name ?? input.ref)
    if (same === undefined) unpaired.push(input)
    else pairs.push([input, same])
    rest.delete(input.name ?? input.ref)
  }
  const byStem = new Map([...rest.values()].map(input => [stemOf(input), input]))
  for (const input of unpaired) {
    const similar = byStem.get(stemOf(input))
    pairs.push([input, similar])
    if (similar === undefined) continue
    byStem.delete(stemOf(input))
    rest.delete(similar.name ?? similar.ref)
  }
  return [...pairs, ...[...rest.values()].map((input): InputPair => [undefined, input])]
}

function stemOf({ name = '', ref }: GraphInput): string {
  const deb = /([^/_]+)_[^/_]*_([^/_]+)\.deb$/.exec(name)
  if (deb !== null) return `package ${deb[1]} ${deb[2]}`
  const list = /^(.*)\/by-hash\//.exec(name)
  return list === null ? `${name} ${ref}` : `list ${list[1]}`
}
