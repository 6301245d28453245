import { tryReadFile } from './files.ts'

/** The package world of the host. */
export interface Distribution {
  readonly id: string
  readonly versionId: string
  readonly prettyName: string
  /** Whose package names and installer fit; `other` is told the Debian names. */
  readonly family: 'debian' | 'fedora' | 'other'
}

/** Parses os-release(5): `NAME=value` lines, values optionally in shell quotes. */
export function parseOsRelease(text: string): Distribution {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^([A-Z_0-9]+)=(.*)$/.exec(line.trim())
    if (match !== null) fields.set(match[1] as string, unquote(match[2] as string))
  }
  const id = fields.get('ID') ?? 'linux' // the default that os-release(5) gives
  const words = [id, ...(fields.get('ID_LIKE') ?? '').split(' ')]
  const family = words.includes('debian') || words.includes('ubuntu') ? 'debian' : isFedora(words) ? 'fedora' : 'other'
  return { id, versionId: fields.get('VERSION_ID') ?? '', prettyName: fields.get('PRETTY_NAME') ?? id, family }
}

export function hostDistribution(): Distribution {
  const bytes = tryReadFile('/etc/os-release') ?? tryReadFile('/usr/lib/os-release')
  return parseOsRelease(bytes?.toString('utf8') ?? '')
}

/** The line that installs `packages` on such a distribution, without `sudo`; `undefined` when we do not know its installer. */
export function installLine(family: Distribution['family'], packages: readonly string[]): string | undefined {
  if (family === 'debian') return `apt-get install --yes --no-install-recommends ${packages.join(' ')}`
  if (family === 'fedora') return `dnf install --assumeyes --setopt=install_weak_deps=False ${packages.join(' ')}`
  return undefined
}

function isFedora(words: readonly string[]): boolean {
  return words.includes('fedora') || words.includes('rhel') || words.includes('centos')
}

function unquote(value: string): string {
  const match = /^(["'])(.*)\1$/.exec(value)
  return match === null ? value : (match[2] as string).replace(/\\(["$`\\])/g, '$1')
}
