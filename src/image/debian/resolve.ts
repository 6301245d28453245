import { AslError, compareText, nearestNames } from '../../core/mod.ts'
import { formatRelation, parseRelations, type Relation, satisfiesVersion } from '../../formats/mod.ts'
import type { BinaryPackage, PackageIndex } from './package-index.ts'

export interface ResolveOptions {
  /** Adds every package marked `Essential: yes`, which others may use without saying so (policy 3.8). */
  readonly essential?: boolean
  /** Adds every package of these priorities. */
  readonly priorities?: readonly string[]
}

/**
 * The closure of `Depends` and `Pre-Depends` over the newest version of each package; recommends are left out. Of
 * alternatives the first one wins that the closure holds already, else the first that can be had; of several
 * providers of a virtual package the most important, then the first by name. There is no search for other solutions:
 * the same index and names give the same list, and a clash is an error that says who wants what.
 * @returns packages, ascending by name
 * @throws AslError PACKAGE_NOT_FOUND, PACKAGE_CONFLICT
 */
export function resolvePackages(
  index: PackageIndex,
  names: readonly string[],
  options: ResolveOptions = {},
): BinaryPackage[] {
  const chosen: Closure = { packages: new Map(), provided: new Map() }
  const queue: Chosen[] = []
  const choose = (found: BinaryPackage, wantedBy: Chosen | undefined): void => {
    if (chosen.packages.has(found.name)) return
    const entry = { package: found, wantedBy }
    chosen.packages.set(found.name, entry)
    for (const { name, constraint } of relationsOf(found.provides, found.name).flat()) {
      const others = chosen.provided.get(name) ?? []
      chosen.provided.set(name, [...others, { entry, version: constraint?.version }])
    }
    queue.push(entry)
  }
  for (const name of [...names].sort(compareText)) choose(findWanted(index, name), undefined)
  const essentials = options.essential === true ? index.essentials() : []
  const prioritised = (options.priorities ?? []).flatMap(priority => index.ofPriority(priority))
  const added = [...essentials, ...prioritised].sort((a, b) => compareText(a.name, b.name))
  for (const found of added) choose(found, undefined)
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { name, preDepends, depends } = next.package
    for (const alternatives of [...relationsOf(preDepends, name), ...relationsOf(depends, name)]) {
      if (alternatives.some(relation => isMetBy(chosen, relation))) continue
      const found = firstAvailable(index, alternatives)
      if (found === undefined) throw unsatisfied(index, alternatives, next)
      choose(found, next)
    }
  }
  refuseClashes(chosen)
  return [...chosen.packages.values()].map(entry => entry.package).sort((a, b) => compareText(a.name, b.name))
}

interface Chosen {
  readonly package: BinaryPackage
  /** `undefined` for what was asked for. */
  readonly wantedBy: Chosen | undefined
}

interface Closure {
  readonly packages: Map<string, Chosen>
  /** Virtual names of the packages chosen so far. */
  readonly provided: Map<string, readonly { readonly entry: Chosen; readonly version: string | undefined }[]>
}

function relationsOf(value: string, name: string): Relation[][] {
  return value === '' ? [] : parseRelations(value, `dependencies of ${name}`)
}

function findWanted(index: PackageIndex, name: string): BinaryPackage {
  const found = index.versionsOf(name)[0] ?? bestProvider(index, { name, qualifier: undefined, constraint: undefined })
  if (found !== undefined) return found
  throw notFound(index, `There is no package "${name}" in ${index.description}`, name)
}

/** The architecture of an index is one: `:any` and `:native` are met by it, another architecture is not. */
function isMet(relation: Relation, version: string | undefined, architecture: string): boolean {
  const { qualifier, constraint } = relation
  if (qualifier !== undefined && qualifier !== 'any' && qualifier !== 'native' && qualifier !== architecture)
    return false
  if (constraint === undefined) return true
  return version !== undefined && satisfiesVersion(version, constraint.operator, constraint.version)
}

function isMetBy({ packages, provided }: Closure, relation: Relation): boolean {
  const real = packages.get(relation.name)?.package
  if (real !== undefined && isMet(relation, real.version, real.architecture)) return true
  const virtual = provided.get(relation.name) ?? []
  return virtual.some(({ entry, version }) => isMet(relation, version, entry.package.architecture))
}

function firstAvailable(index: PackageIndex, alternatives: readonly Relation[]): BinaryPackage | undefined {
  for (const relation of alternatives) {
    // The newest version only: an older one beside it would be chosen for one wish and be wrong for the next.
    const [real] = index.versionsOf(relation.name)
    if (real !== undefined && isMet(relation, real.version, real.architecture)) return real
    const provider = bestProvider(index, relation)
    if (provider !== undefined) return provider
  }
  return undefined
}

const PRIORITIES = ['required', 'important', 'standard', 'optional', 'extra']

function bestProvider(index: PackageIndex, relation: Relation): BinaryPackage | undefined {
  const rank = (found: BinaryPackage): number => {
    const position = PRIORITIES.indexOf(found.priority)
    return position === -1 ? PRIORITIES.length : position
  }
  return index
    .providersOf(relation.name)
    .filter(provider => isMet(relation, provider.version, provider.package.architecture))
    .map(provider => provider.package)
    .sort((a, b) => rank(a) - rank(b) || compareText(a.name, b.name))[0]
}

function unsatisfied(index: PackageIndex, alternatives: readonly Relation[], wanting: Chosen): AslError {
  const wish = alternatives.map(formatRelation).join(' | ')
  const offers = alternatives
    .flatMap(relation => index.versionsOf(relation.name))
    .map(offer => `${offer.name} ${offer.version}`)
  const offered = offers.length === 0 ? '' : `; on offer: ${offers.join(', ')}`
  const { name, version } = wanting.package
  return notFound(
    index,
    `Package ${name} ${version} (${wayTo(wanting)}) wants ${wish}, which is not in ${index.description}${offered}`,
    alternatives[0]?.name ?? '',
  )
}

function notFound(index: PackageIndex, message: string, name: string): AslError {
  const near = nearestNames(name, index.names())
  const hint =
    near.length > 0 ? `Similar names: ${near.join(', ')}.` : 'Check the suites and components of the archive.'
  return new AslError('PACKAGE_NOT_FOUND', message, { hint, details: { package: name, nearest: near } })
}

/** `asked for`, or `wanted by b, wanted by a, asked for`. */
function wayTo(entry: Chosen): string {
  const steps: string[] = []
  for (let at = entry.wantedBy; at !== undefined; at = at.wantedBy) steps.push(`wanted by ${at.package.name}`)
  return [...steps, 'asked for'].join(', ')
}

function refuseClashes({ packages, provided }: Closure): void {
  for (const entry of packages.values()) {
    const { name, conflicts, breaks } = entry.package
    for (const relation of [...relationsOf(conflicts, name), ...relationsOf(breaks, name)].flat()) {
      const real = packages.get(relation.name)
      const candidates = [
        ...(real === undefined ? [] : [{ entry: real, version: real.package.version }]),
        ...(provided.get(relation.name) ?? []),
      ]
      // Packages may conflict with a name that they provide themselves, to be the only one that does (policy 7.6.2).
      const other = candidates.find(
        candidate =>
          candidate.entry !== entry && isMet(relation, candidate.version, candidate.entry.package.architecture),
      )?.entry
      if (other !== undefined) throw clash(entry, other, relation)
    }
  }
}

function clash(entry: Chosen, other: Chosen, relation: Relation): AslError {
  const { name } = entry.package
  return new AslError(
    'PACKAGE_CONFLICT',
    `Packages ${name} (${wayTo(entry)}) and ${other.package.name} ${other.package.version} (${wayTo(other)}) ` +
      `exclude each other: ${name} says ${formatRelation(relation)}`,
    { hint: 'Ask for one of them only, or name the alternative that does not clash.' },
  )
}
