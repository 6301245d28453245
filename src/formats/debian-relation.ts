import { AslError } from '../core/mod.ts'
import { VERSION_OPERATORS, type VersionOperator } from './debian-version.ts'

/** One alternative of a relationship field of a binary package (deb-control(5)): `libc6:any (>= 2.38)`. */
export interface Relation {
  readonly name: string
  /** `any`, `native` or an architecture. */
  readonly qualifier: string | undefined
  readonly constraint: VersionConstraint | undefined
}

export interface VersionConstraint {
  readonly operator: VersionOperator
  readonly version: string
}

/**
 * The value of `Depends`, `Provides` and their like: all elements must hold, of each one alternative.
 * @throws AslError FORMAT_INVALID
 */
export function parseRelations(value: string, what: string): Relation[][] {
  return value
    .split(',')
    .map(group => group.trim())
    .filter(group => group !== '')
    .map(group => group.split('|').map(alternative => parseRelation(alternative.trim(), what)))
}

export function formatRelation(relation: Relation): string {
  const { name, qualifier, constraint } = relation
  const version = constraint === undefined ? '' : ` (${constraint.operator} ${constraint.version})`
  return `${name}${qualifier === undefined ? '' : `:${qualifier}`}${version}`
}

const RELATION =
  /^(?<name>[A-Za-z0-9][A-Za-z0-9+.-]*)(?::(?<qualifier>[a-z0-9-]+))?\s*(?:\(\s*(?<operator><<|<=|=|>=|>>|<|>)\s*(?<version>[A-Za-z0-9][A-Za-z0-9.+:~-]*)\s*\))?$/

function parseRelation(text: string, what: string): Relation {
  const groups = RELATION.exec(text)?.groups
  if (groups?.name === undefined) {
    throw new AslError('FORMAT_INVALID', `${what}: "${text.slice(0, 100)}" is no relation to a package`)
  }
  const { name, qualifier, operator, version } = groups
  return {
    name,
    qualifier,
    constraint:
      operator === undefined || version === undefined ? undefined : { operator: asOperator(operator), version },
  }
}

/** deb-control(5): the obsolete `<` and `>` mean `<=` and `>=`. */
function asOperator(text: string): VersionOperator {
  if (text === '<') return '<='
  if (text === '>') return '>='
  const known = VERSION_OPERATORS.find(operator => operator === text)
  if (known === undefined) throw new Error(`operator ${text} passed the pattern, but is not in the table`)
  return known
}
