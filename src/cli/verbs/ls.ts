import {
  AslError,
  entryRef,
  KINDS,
  type Kind,
  kindName,
  type Reference,
  shortReference,
  type TreeEntry,
  type TypeTag,
} from '../../core/mod.ts'
import { type DiskStore, readTree, resolvePath, showPath, walkTree } from '../../store/mod.ts'
import { openStoreOf, referenceArgument } from '../open-store.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'ls',
  group: 'Store',
  summary: 'list the artifacts of the store, or the entries of a tree',
  description:
    'Without REF: every visible artifact with its kind and size. With a tree: its entries as `ls -l` shows them, a ' +
    'folder below with PATH, everything below with --recursive.',
  args: [
    { name: 'REF', summary: 'a tree', isOptional: true },
    { name: 'PATH', summary: 'a folder in it', isOptional: true },
  ],
  options: [
    STORE_OPTION,
    { flags: '--kind KIND', summary: 'only artifacts of this kind: content, asl.tree, receipt, …' },
    { flags: '--recursive', summary: 'everything below the folder' },
    JSON_OPTION,
  ],
  run: ls,
}

async function ls(context: Context, input: VerbInput): Promise<undefined> {
  const store = openStoreOf(context, input)
  try {
    const given = input.tryArg('REF')
    if (given === undefined) listArtifacts(context, store, input)
    else listTree(context, store, referenceArgument(store, given), input)
  } finally {
    store.close()
  }
}

function listArtifacts(context: Context, store: DiskStore, input: VerbInput): void {
  for (const reference of store.references(wantedTag(input.tryText('kind')))) {
    const stat = store.tryStat(reference)
    if (stat === undefined) continue
    const kind = kindName(stat.typeTag)
    if (input.flag('json')) context.print(JSON.stringify({ ref: reference, kind, size: stat.sizeBytes }))
    else context.print(`${reference}  ${kind.padEnd(20)}  ${stat.sizeBytes}`)
  }
}

function wantedTag(kind: string | undefined): TypeTag | null | undefined {
  if (kind === undefined) return undefined
  if (kind === 'content') return null
  if (kind in KINDS) return KINDS[kind as Kind]
  const number = OTHER_KINDS[kind] ?? (/^0x[0-9a-f]{1,8}$/.test(kind) ? Number(kind) : undefined)
  if (number !== undefined) return number as TypeTag
  throw new AslError('USAGE', `There is no kind "${kind}"`, {
    hint: `Kinds are content, ${Object.keys(OTHER_KINDS).join(', ')}, ${Object.keys(KINDS).join(', ')}, or a number such as 0x0101.`,
  })
}

const OTHER_KINDS: Readonly<Record<string, number>> = { receipt: 0x301, edge: 0x201 }

function listTree(context: Context, store: DiskStore, tree: Reference, input: VerbInput): void {
  const path = input.tryArg('PATH') ?? ''
  const folder = resolvePath(store, tree, path)
  if (folder?.type !== 'd') throw new AslError('PATH_NOT_FOUND', `Tree ${tree} has no folder ${showPath(path)}`)
  const below = entryRef(folder)
  const entries = input.flag('recursive')
    ? walkTree(store, below)
    : readTree(store, below).entries.map(entry => ({ path: entry.name, entry }))
  for (const found of entries) {
    if (input.flag('json')) context.print(JSON.stringify(entryView(found.path, found.entry)))
    else context.print(entryLine(found.path, found.entry))
  }
}

/** Names are bytes: one that is no UTF-8 is given in hex beside its printable form. */
function entryView(path: Buffer, entry: TreeEntry): Record<string, unknown> {
  const { name: _, target, linkTo, xattrs, ...plain } = entry
  const isText = Buffer.from(path.toString('utf8')).equals(path)
  return {
    path: isText ? path.toString('utf8') : showPath(path),
    ...(isText ? {} : { path_hex: path.toString('hex') }),
    ...plain,
    mode: entry.mode.toString(8).padStart(4, '0'),
    ...(target === undefined ? {} : { target: showPath(target) }),
    ...(linkTo === undefined ? {} : { link_to: showPath(linkTo) }),
    ...(xattrs === undefined
      ? {}
      : { xattrs: Object.fromEntries(xattrs.map(([name, value]) => [showPath(name), value.toString('hex')])) }),
  }
}

function entryLine(path: Buffer, entry: TreeEntry): string {
  const { type, mode, uid = 0, gid = 0, size, rdev, mtime } = entry
  const time = mtime === undefined ? '-' : new Date(mtime * 1000).toISOString().slice(0, 19).replace('T', ' ')
  const what = rdev === undefined ? String(size ?? '-') : rdev.join(', ')
  const towards = entry.target === undefined ? entry.linkTo : entry.target
  const arrow = towards === undefined ? '' : ` ${entry.target === undefined ? '=' : '->'} ${showPath(towards)}`
  const ref = entry.ref === undefined ? '-'.padEnd(12) : shortReference(entry.ref)
  return [
    `${type === 'f' ? '-' : type}${permissions(mode)}`,
    `${uid}:${gid}`.padEnd(9),
    what.padStart(11),
    time.padEnd(19),
    ref,
    `${showPath(path)}${arrow}`,
  ].join('  ')
}

/** `rwxr-sr-t` as ls writes it. */
function permissions(mode: number): string {
  const bit = (mask: number, letter: string): string => ((mode & mask) === 0 ? '-' : letter)
  const execute = (mask: number, special: number, letter: string): string => {
    if ((mode & special) === 0) return bit(mask, 'x')
    return (mode & mask) === 0 ? letter.toUpperCase() : letter
  }
  return (
    bit(0o400, 'r') +
    bit(0o200, 'w') +
    execute(0o100, 0o4000, 's') +
    bit(0o040, 'r') +
    bit(0o020, 'w') +
    execute(0o010, 0o2000, 's') +
    bit(0o004, 'r') +
    bit(0o002, 'w') +
    execute(0o001, 0o1000, 't')
  )
}
