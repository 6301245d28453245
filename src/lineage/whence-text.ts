import { type Reference, shortReference } from '../core/mod.ts'
import type { RunView } from './run-view.ts'
import { formatSize } from './size-text.ts'
import type { InputGroup, Whence, WhenceFile, WhenceLink } from './whence-link.ts'

/** The chain as text: what a link is on one line, below it in the margin what it is known by. */
export function formatWhence(whence: Whence): string {
  const lines = [whenceHeading(whence), `  ${fileLine(whence.file)}`, '']
  for (const [i, link] of whence.links.entries()) {
    if (i > 0) lines.push(`  │  ${link.proof.says}`)
    const [first = '', ...more] = describeLink(link)
    lines.push(`${i === 0 ? '  ' : '  ← '}${KIND_NAMES[link.kind].padEnd(i === 0 ? 11 : 9)}${first}`)
    lines.push(...more.map(line => `  │  ${' '.repeat(8)}${line}`))
  }
  if (!whence.isComplete) lines.push('', '  The chain is not complete: see the line that starts with "unknown".')
  return lines.join('\n')
}

const KIND_NAMES: Readonly<Record<WhenceLink['kind'], string>> = {
  image: 'image',
  tree: 'tree',
  retouch: 'touched',
  step: 'step',
  package: 'package',
  archive: 'archive',
  artifact: 'artifact',
  overlay: 'overlay',
  index: 'index',
  release: 'release',
  key: 'key',
  made: 'made',
  unknown: 'unknown',
}

export function whenceHeading({ path, file }: Whence): string {
  const hops = file.followed.map(link => `${link.path} → ${link.target}`)
  if (path === file.path) return path
  return hops.length === 0 ? `${path} = ${file.path}` : `${path} = ${file.path}   (${hops.join(', ')})`
}

const TYPE_NAMES: Readonly<Record<WhenceFile['type'], string>> = {
  f: 'file',
  d: 'folder',
  l: 'link',
  c: 'character device',
  b: 'block device',
  p: 'pipe',
  s: 'socket',
}

export function fileLine(file: WhenceFile): string {
  const parts = [`${TYPE_NAMES[file.type]} ${file.mode} ${file.owner}`]
  if (file.size !== undefined) parts.push(formatSize(file.size))
  if (file.target !== undefined) parts.push(`→ ${file.target}`)
  if (file.linkTo !== undefined) parts.push(`another name of ${file.linkTo}`)
  if (file.sha256 !== undefined) parts.push(`sha256 ${file.sha256}`)
  return parts.join(', ')
}

/** The lines that describe a link without its kind; also the rows of the picture. */
export function describeLink(link: WhenceLink): readonly string[] {
  switch (link.kind) {
    case 'image':
      return [link.name, ...(link.sha256 === undefined ? [] : [`sha256 ${link.sha256}`])]
    case 'tree':
      return [`${shortReference(link.ref)}  ${link.path}`]
    case 'retouch':
      return [`${link.step}  (${link.fields.join(', ')})`, receiptLine(link.receipt)]
    case 'step':
      return [
        link.step,
        ...(link.command === link.step || link.command === '' ? [] : [clipped(link.command)]),
        receiptLine(link.receipt) + (link.alternatives === 0 ? '' : `, ${link.alternatives} more with the same result`),
        ...link.runs.slice(0, 2).map(runLine),
      ]
    case 'package':
      return [
        `${link.name} ${link.version} ${link.architecture}`,
        `member ${link.member}${link.part === 'control' ? ' of its control archive' : ''}, ${link.isListed ? 'dpkg lists it' : 'dpkg does not list it'}`,
      ]
    case 'archive':
      return [`member ${link.member}`]
    case 'artifact':
      return [
        link.name,
        `${link.role}${link.size === undefined ? '' : `, ${formatSize(link.size)}`}${digest(link.sha256)}`,
      ]
    case 'overlay':
      return [link.checkoutPath]
    case 'index':
      return [link.url, `sha256 ${link.sha256}`]
    case 'release':
      return [link.url, `${link.suite}, ${link.date}`]
    case 'key':
      return [link.fingerprint, link.userId, `keyring ${link.keyring} (${KEYRING_PLACES[link.keyringFrom]})`]
    case 'made':
      return [
        'by the step itself',
        `from ${link.inputs.map(groupText).join('; ') || 'no input'}`,
        ...(link.owners.length === 0 ? [] : [`dpkg lists the path for ${firstOf(link.owners)}`]),
      ]
    case 'unknown':
      return [link.reason]
  }
}

const KEYRING_PLACES = {
  input: 'an input of the build',
  'root tree': 'in the tree that the step started from',
  'output tree': 'in the very tree that it vouches for',
} as const

function receiptLine(ref: Reference): string {
  return `receipt ${shortReference(ref)}`
}

function runLine(run: RunView): string {
  const parts = [`run ${run.startedAt}`]
  if (run.host !== undefined) parts.push(`on ${run.host}`)
  if (run.observer !== undefined) parts.push(`observed by ${run.observer}`)
  return parts.join(' ')
}

const SHOWN_OWNERS = 4

function firstOf(names: readonly string[]): string {
  const more = names.length - SHOWN_OWNERS
  return `${names.slice(0, SHOWN_OWNERS).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Names where they are few: a hundred URLs say less than their number. */
function groupText({ role, count, names }: InputGroup): string {
  const many = `${count.toLocaleString('en-US')} ${role}${count === 1 ? '' : 's'}`
  return count <= names.length ? `${many} ${names.join(', ')}` : many
}

function digest(sha256: string | undefined): string {
  return sha256 === undefined ? '' : `, sha256 ${sha256}`
}

const LONGEST_COMMAND = 160

function clipped(text: string): string {
  const characters = [...text]
  return characters.length <= LONGEST_COMMAND ? text : `${characters.slice(0, LONGEST_COMMAND - 1).join('')}…`
}
