import type { Step } from '../../capture/mod.ts'
import type { InputEntry, Reference } from '../../core/mod.ts'
import { type BuildContext, commandStep } from '../build-context.ts'
import type { ArchiveSource } from '../debian/archive.ts'

/** Inside a sandbox the archive always has this name, so that receipts do not depend on which mirror was used. */
export const LOGICAL_MIRROR = 'http://mirror.internal/debian'
export const LOGICAL_SECURITY_MIRROR = 'http://mirror.internal/debian-security'

/** Suites whose name ends in `-security` come from the security archive, all others from the main one. */
export function archiveSources(suites: readonly string[], components: readonly string[]): ArchiveSource[] {
  return suites.map(suite => ({ baseUrl: baseOf(suite), suite, components }))
}

function baseOf(suite: string): string {
  return suite.endsWith('-security') ? LOGICAL_SECURITY_MIRROR : LOGICAL_MIRROR
}

export interface DebianTree {
  readonly name: string
  /** The tree mmdebstrap runs in. */
  readonly root: Reference
  /** What the archive offers: suites and their digests. Another state is another step. */
  readonly lock: InputEntry
  readonly suites: readonly string[]
  readonly components: readonly string[]
  readonly packages: readonly string[]
  readonly excludePaths?: readonly string[]
  readonly includePaths?: readonly string[]
  readonly proxyVariables: Readonly<Record<string, string>>
}

/** mmdebstrap as a step: a configured Debian tree as output `root`. */
export function debianTreeStep(context: BuildContext, tree: DebianTree): Step {
  const [suite = '', ...further] = tree.suites
  const line = (name: string): string =>
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${baseOf(name)} ${name} ${tree.components.join(' ')}`
  const argv = [
    'mmdebstrap',
    '--mode=root',
    '--variant=minbase',
    '--format=directory',
    `--architectures=${context.arch}`,
    `--include=${tree.packages.join(',')}`,
    // The recorder holds whole responses: no partial downloads, no compression negotiation, one request after another.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=Acquire::PDiffs "false"',
    '--aptopt=APT::Sandbox::User "root"',
    '--aptopt=APT::Install-Recommends "false"',
    ...(tree.excludePaths ?? []).map(path => `--dpkgopt=path-exclude=${path}`),
    ...(tree.includePaths ?? []).map(path => `--dpkgopt=path-include=${path}`),
    suite,
    '/work/out/root',
    ...[suite, ...further].map(line),
  ]
  return commandStep(context, {
    name: tree.name,
    argv,
    root: tree.root,
    inputs: [tree.lock],
    network: 'declared',
    variables: tree.proxyVariables,
  })
}
