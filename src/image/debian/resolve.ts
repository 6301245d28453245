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
  const chosen = new Map<string, Chosen>()
  const queue: Chosen[] = []
  const choose = (found: BinaryPackage, wantedBy: Chosen | undefined): void => {
    if (chosen.has(found.name)) return
    const entry = { package: found, wantedBy }
    chosen.set(found.name, entry)
    queue.push(entry)
  }
  for (const name of [...names].sort(compareText)) choose(findWanted(index, name), undefined)
  for (const found of [...index.packages()].sort((a, b) => compareText(a.name, b.name))) {
    const isWanted =
      (options.essential === true && found.isEssential) || options.priorities?.includes(found.priority) === true
    if (isWanted) choose(found, undefined)
  }
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { name, preDepends, depends } = next.package
    for (const alternatives of [...relationsOf(preDepends, name), ...relationsOf(depends, name)]) {
      if (alternatives.some(relation => satisfyingIn(chosen, index, relation) !== undefined)) continue
      const found = firstAvailable(index, alternatives)
      if (found === undefined) throw unsatisfied(index, alternatives, next)
      choose(found, next)
    }
  }
  refuseClashes(chosen)
  return [...chosen.values()].map(entry => entry.package).sort((a, b) => compareText(a.name, b.name))
}

interface Chosen {
  readonly package: BinaryPackage
  /** `undefined` for what was asked for. */
  readonly wantedBy: Chosen | undefined
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

function satisfyingIn(
  chosen: ReadonlyMap<string, Chosen>,
  index: PackageIndex,
  relation: Relation,
): BinaryPackage | undefined {
  const real = chosen.get(relation.name)?.package
  if (real !== undefined && isMet(relation, real.version, real.architecture)) return real
  return index
    .providersOf(relation.name)
    .find(
      provider =>
        chosen.get(provider.package.name)?.package === provider.package &&
        isMet(relation, provider.version, provider.package.architecture),
    )?.package
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

function refuseClashes(chosen: ReadonlyMap<string, Chosen>): void {
  const provided = providedBy(chosen)
  for (const entry of chosen.values()) {
    const { name, conflicts, breaks } = entry.package
    for (const relation of [...relationsOf(conflicts, name), ...relationsOf(breaks, name)].flat()) {
      const candidates = [chosen.get(relation.name), ...(provided.get(relation.name) ?? [])]
      for (const [position, other] of candidates.entries()) {
        if (other === undefined || other === entry) continue
        // The virtual name counts as the provider's only where no version is asked for (policy 7.5).
        const version = position === 0 ? other.package.version : undefined
        if (!isMet(relation, version, other.package.architecture)) continue
        throw new AslError(
          'PACKAGE_CONFLICT',
          `Packages ${name} (${wayTo(entry)}) and ${other.package.name} ${other.package.version} (${wayTo(other)}) ` +
            `exclude each other: ${name} says ${formatRelation(relation)}`,
          { hint: 'Ask for one of them only, or name the alternative that does not clash.' },
        )
      }
    }
  }
}

function providedBy(chosen: ReadonlyMap<string, Chosen>): Map<string, Chosen[]> {
  const provided = new Map<string, Chosen[]>()
  for (const entry of chosen.values()) {
    for (const relation of relationsOf(entry.package.provides, entry.package.name).flat()) {
      provided.set(relation.name, [...(provided.get(relation.name) ?? []), entry])
    }
  }
  return provided
}
