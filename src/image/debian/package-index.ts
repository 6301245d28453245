import { AslError, compareText, parseSha256, type Sha256 } from '../../core/mod.ts'
import {
  type ByteStream,
  compareDebianVersions,
  parseParagraph,
  parseRelations,
  readParagraphBytes,
  requireField,
  shownBytes,
} from '../../formats/mod.ts'
import { type ParagraphArena, paragraphArena } from './paragraph-arena.ts'

/** A binary package as an index of the archive lists it. Relationship fields stay text until somebody asks. */
export interface BinaryPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
  readonly isEssential: boolean
  /** `required`, `important`, `standard`, `optional`, `extra`. */
  readonly priority: string
  readonly depends: string
  readonly preDepends: string
  readonly provides: string
  readonly conflicts: string
  readonly breaks: string
  /** Below the base of the archive: `pool/main/…`. */
  readonly path: string
  readonly sha256: Sha256
  readonly sizeBytes: number
  readonly origin: PackageOrigin
}

/** Which index listed a package. */
export interface PackageOrigin {
  /** Base of the archive, without a final slash. */
  readonly baseUrl: string
  readonly suite: string
  readonly component: string
}

export interface PackageIndex {
  /** Every version on offer, highest first; of equal ones the source given first. */
  versionsOf(name: string): readonly BinaryPackage[]
  /** Packages that provide a virtual name, with the version provided, by name of the package. */
  providersOf(name: string): readonly Provider[]
  /** The newest version of each package marked `Essential: yes`. */
  essentials(): readonly BinaryPackage[]
  /** The newest version of each package of a priority. */
  ofPriority(priority: string): readonly BinaryPackage[]
  names(): Iterable<string>
  /** `trixie (main), trixie-security (main)`: for messages. */
  readonly description: string
}

export interface Provider {
  readonly package: BinaryPackage
  /** `undefined` for an unversioned `Provides`, which satisfies no versioned dependency (policy 7.5). */
  readonly version: string | undefined
}

/** One `Packages` file: of each package the paragraph, as bytes, until somebody asks for it. */
export interface PackageList {
  readonly name: string
  readonly origin: PackageOrigin
  readonly paragraphs: ParagraphArena
}

/**
 * Keeps what a resolver may ask for, about a third of the file: main of trixie has 69,000 packages, and a build looks
 * into a few hundred.
 * @throws AslError FORMAT_INVALID
 */
export async function readPackages(stream: ByteStream, name: string, origin: PackageOrigin): Promise<PackageList> {
  const paragraphs = paragraphArena()
  for await (const paragraph of readParagraphBytes(stream, name, FIELDS)) paragraphs.add(paragraph)
  return { name, origin, paragraphs }
}

/** @throws AslError FORMAT_INVALID */
export function packageIndex(lists: readonly PackageList[]): PackageIndex {
  const listed = new Map<string, Listed[]>()
  for (const list of lists) {
    for (let i = 0; i < list.paragraphs.count; i++) {
      const name = nameIn(list.paragraphs.at(i), list.name)
      const others = listed.get(name)
      if (others === undefined) listed.set(name, [{ list, index: i }])
      else others.push({ list, index: i })
    }
  }
  const parsed = new Map<string, readonly BinaryPackage[]>()
  const versionsOf = (name: string): readonly BinaryPackage[] => {
    let versions = parsed.get(name)
    if (versions === undefined) {
      versions = (listed.get(name) ?? []).map(parsePackage).sort((a, b) => compareDebianVersions(b.version, a.version))
      parsed.set(name, versions)
    }
    return versions
  }
  /** Of these names those of which some version has the bytes in its paragraph. */
  const namesWith = (bytes: string, names: Iterable<string>): string[] =>
    [...names].filter(name => listed.get(name)?.some(version => paragraphOf(version).includes(bytes)) === true)
  const newest = (names: readonly string[]): BinaryPackage[] => names.flatMap(name => versionsOf(name).slice(0, 1))
  // Few virtual names are ever asked for, and crates alone provide 200,000 of them: no table, but a search each time.
  let providing: readonly string[] | undefined
  const providers = new Map<string, readonly Provider[]>()
  const providersOf = (virtual: string): readonly Provider[] => {
    providing ??= namesWith('\nprovides:', listed.keys()).sort(compareText)
    let found = providers.get(virtual)
    if (found === undefined) {
      found = newest(namesWith(virtual, providing)).flatMap(candidate => providersIn(candidate, virtual))
      providers.set(virtual, found)
    }
    return found
  }
  return {
    versionsOf,
    providersOf,
    essentials: () => newest(namesWith('\nessential:', listed.keys())).filter(found => found.isEssential),
    ofPriority: priority =>
      newest(namesWith(`\npriority: ${priority}`, listed.keys())).filter(found => found.priority === priority),
    names: () => listed.keys(),
    description: describe(lists),
  }
}

interface Listed {
  readonly list: PackageList
  /** Of its paragraph. */
  readonly index: number
}

function paragraphOf({ list, index }: Listed): Buffer {
  return list.paragraphs.at(index)
}

/** Taken out of the bytes, not of their text: part of a text keeps the whole of it alive. */
function nameIn(paragraph: Buffer, list: string): string {
  const start = paragraph.indexOf(NAME_FIELD)
  const end = paragraph.indexOf('\n', start)
  if (start === 0 || paragraph[start - 1] === 0x0a) {
    const name = paragraph.toString('latin1', start + NAME_FIELD.length, end).trim()
    if (/^[a-z0-9][a-z0-9+.-]*$/.test(name)) return name
  }
  throw new AslError(
    'FORMAT_INVALID',
    `${list}: a paragraph names no package: ${shownBytes(paragraph.subarray(0, 80))}`,
  )
}

const NAME_FIELD = 'package:'

function parsePackage(listed: Listed): BinaryPackage {
  const { list } = listed
  const bytes = paragraphOf(listed)
  const where = `${list.name}: package ${nameIn(bytes, list.name)}`
  const paragraph = parseParagraph(bytes, where)
  const get = (field: string): string => paragraph.get(field) ?? ''
  return {
    name: requireField(paragraph, 'package', where),
    version: requireField(paragraph, 'version', where),
    architecture: requireField(paragraph, 'architecture', where),
    isEssential: get('essential') === 'yes',
    priority: get('priority') || 'optional',
    depends: get('depends'),
    preDepends: get('pre-depends'),
    provides: get('provides'),
    conflicts: get('conflicts'),
    breaks: get('breaks'),
    path: parsePoolPath(requireField(paragraph, 'filename', where), where),
    sha256: parseSha256(requireField(paragraph, 'sha256', where)),
    sizeBytes: parseSize(requireField(paragraph, 'size', where), where),
    origin: list.origin,
  }
}

/** Only the version that would be chosen counts. A package may provide a name in several versions. */
function providersIn(found: BinaryPackage, virtual: string): Provider[] {
  return parseRelations(found.provides, `Provides of ${found.name}`)
    .flat()
    .filter(relation => relation.name === virtual)
    .map(relation => ({ package: found, version: relation.constraint?.version }))
}

function describe(lists: readonly PackageList[]): string {
  const components = new Map<string, string[]>()
  for (const { origin } of lists) {
    components.set(origin.suite, [...(components.get(origin.suite) ?? []), origin.component])
  }
  return [...components].map(([suite, names]) => `${suite} (${names.join(', ')})`).join(', ')
}

const FIELDS: ReadonlySet<string> = new Set([
  'package',
  'version',
  'architecture',
  'essential',
  'priority',
  'depends',
  'pre-depends',
  'provides',
  'conflicts',
  'breaks',
  'filename',
  'sha256',
  'size',
])

/** The digest is checked after the download, but memory and disk are asked for by what the index says. */
function parseSize(text: string, where: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text)
  throw new AslError('FORMAT_INVALID', `${where}: Size is ${JSON.stringify(text.slice(0, 40))}`)
}

/** It becomes part of a URL: nothing that could leave the archive, or that a URL would have to escape. */
function parsePoolPath(text: string, where: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._~+=:@-]*(\/[A-Za-z0-9][A-Za-z0-9._~+=:@-]*)*$/.test(text)) return text
  throw new AslError('FORMAT_INVALID', `${where}: Filename is ${JSON.stringify(text.slice(0, 200))}`)
}
