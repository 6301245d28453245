import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AslError } from '../../core/mod.ts'
import { parseParagraphs } from '../../formats/mod.ts'
import { errnoOf, ioError, tryReadFile } from '../../sys/mod.ts'

/** Where this machine gets its own packages from: bases of archives, without a final slash. */
export interface HostMirror {
  readonly debian: string
  /** `undefined` for a mirror whose name does not tell where the security archive is, with none configured. */
  readonly security: string | undefined
}

/**
 * The mirror in the apt configuration below `root`: the first binary source whose URI path ends in `/debian`, and for
 * security one that ends in `/debian-security`, else its sibling. `undefined` when apt names none.
 * @throws AslError STORE_IO when the configuration is there but cannot be read; FORMAT_INVALID
 */
export function tryHostMirror(root: string): HostMirror | undefined {
  const uris = sourceFiles(root).flatMap(path => {
    const text = tryReadFile(path)?.toString('utf8') ?? ''
    return path.endsWith('.sources') ? urisOfSources(text, path) : urisOfList(text)
  })
  const debian = uris.find(uri => isArchive(uri, /\/debian$/))
  if (debian === undefined) return undefined
  return { debian, security: uris.find(uri => isArchive(uri, /\/debian-security$/)) ?? siblingOf(debian) }
}

/** A mirror as the user gave it: the security archive is its sibling unless given too. */
export function parseMirror(text: string, security?: string): HostMirror {
  const debian = baseOf(text)
  return { debian, security: security === undefined ? siblingOf(debian) : baseOf(security) }
}

function baseOf(text: string): string {
  const uri = text.replace(/\/+$/, '')
  if (URL.canParse(uri) && /^https?:$/.test(new URL(uri).protocol)) return uri
  throw new AslError('CONFIG_INVALID', `"${text}" is no mirror`, {
    hint: 'Give the base of a Debian mirror, such as http://HOST/debian.',
  })
}

function siblingOf(debian: string): string | undefined {
  return debian.endsWith('/debian') ? `${debian}-security` : undefined
}

function sourceFiles(root: string): string[] {
  const folder = join(root, 'etc/apt/sources.list.d')
  let names: string[] = []
  try {
    names = readdirSync(folder).sort()
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw ioError(error, `Cannot read ${folder}`)
  }
  const inFolder = names.filter(name => /\.(list|sources)$/.test(name)).map(name => join(folder, name))
  return [join(root, 'etc/apt/sources.list'), ...inFolder]
}

function urisOfSources(text: string, path: string): string[] {
  return parseParagraphs(text, path)
    .filter(source => words(source.get('types')).includes('deb') && source.get('enabled')?.toLowerCase() !== 'no')
    .flatMap(source => words(source.get('uris')))
    .map(withoutSlash)
}

/** `deb [options] URI suite component…`, one a line (sources.list(5)). */
function urisOfList(text: string): string[] {
  return text.split('\n').flatMap(line => {
    const uri = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)/.exec(line)?.[1]
    return uri === undefined ? [] : [withoutSlash(uri)]
  })
}

function words(value: string | undefined): string[] {
  return (value ?? '').split(/\s+/).filter(word => word !== '')
}

function withoutSlash(uri: string): string {
  return uri.replace(/\/+$/, '')
}

/** Other schemes (`cdrom:`, `mirror+file:`, `tor+http:`) need apt itself. */
function isArchive(uri: string, path: RegExp): boolean {
  return URL.canParse(uri) && /^https?:$/.test(new URL(uri).protocol) && path.test(new URL(uri).pathname)
}
