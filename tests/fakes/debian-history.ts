/** The history of a small image, made as a real build makes it: stage 0, mmdebstrap, a recipe step, overlay, projection. */
import type { Reference } from '../../src/core/mod.ts'
import type { Store } from '../../src/store/mod.ts'
import {
  type FakeArchive,
  type FakePackage,
  type Files,
  fakeArchive,
  type HistoryBuilder,
  historyBuilder,
  installed,
} from './history-builder.ts'

export interface DebianHistory {
  readonly store: Store
  readonly builder: HistoryBuilder
  readonly archive: FakeArchive
  readonly rootTree: Reference
  readonly rootReceipt: Reference
  readonly image: Reference
  readonly receipts: Readonly<
    Record<'stage0' | 'bootstrap' | 'configure' | 'overlay' | 'normalise' | 'initramfs' | 'iso', Reference>
  >
}

export const OPENSSL: FakePackage = {
  name: 'openssl',
  version: '3.5.7-1~deb13u2',
  files: {
    'usr/bin/openssl': 'the openssl program, long enough to tell\n',
    'etc/ssl/openssl.cnf': 'default configuration of openssl, long enough\n',
    'usr/share/doc/openssl/empty': '',
  },
  scripts: { postinst: '#!/bin/sh\nexit 0 # postinst of openssl\n' },
}

export const COREUTILS: FakePackage = {
  name: 'coreutils',
  version: '9.7-3',
  // The name before the merge of /usr: the file lands in /usr/bin.
  files: { 'bin/ls': 'the ls program, long enough to tell apart\n', 'usr/share/doc/coreutils/empty': '' },
}

export interface DebianHistoryOptions {
  /** Where the history goes; default a store in memory. */
  readonly store?: Store
  readonly packages?: readonly FakePackage[]
  /** Body of the file that the recipe step writes. */
  readonly issue?: string
  readonly isReleaseForged?: boolean
  /** Leaves the keyring out, so that no signature can be checked. */
  readonly hasKeyring?: boolean
}

export async function debianHistory(options: DebianHistoryOptions = {}): Promise<DebianHistory> {
  const { packages = [OPENSSL, COREUTILS], issue = 'Authority host, made by a step\n', hasKeyring = true } = options
  const archive = await fakeArchive(packages)
  const builder = historyBuilder(options.store)
  const { store, blob, tree, step } = builder
  const downloads = [...archive.responses].map(([url, body]) => {
    const isForged = options.isReleaseForged === true && url.endsWith('InRelease')
    return [url, 'download', blob(isForged ? Buffer.from(body.toString().replace('trixie', 'sid')) : body)] as const
  })

  const keyring: Files = hasKeyring ? { 'usr/share/keyrings/debian-archive-keyring.pgp': archive.keyring } : {}
  const stage0Tree = tree({ 'usr/bin/mmdebstrap': 'a bootstrap program, long enough to tell\n', ...keyring })
  const stage0 = step({
    command: 'op:unpack-debs',
    inputs: [['stage0.lock', 'lock', blob('mmdebstrap 1.5.7\n')]],
    outputs: [['tree', 'tree', stage0Tree]],
  })

  const merged = { bin: { link: 'usr/bin' }, 'usr/sbin': { link: 'bin' } }
  const unpacked = installed(packages)
  const { 'bin/ls': ls, ...others } = unpacked
  const base: Files = {
    ...others,
    ...merged,
    ...(ls === undefined ? {} : { 'usr/bin/ls': ls, 'usr/bin/dir': { sameAs: 'usr/bin/ls' } }),
    'etc/ld.so.cache': 'made by ldconfig while packages were configured\n',
    'etc/mtab': { link: '../proc/self/mounts' },
    'etc/openssl-copy.cnf': 'default configuration of openssl, long enough\n',
    'etc/empty': '',
  }
  const bootstrap = step({
    command: ['mmdebstrap', '--variant=minbase', 'trixie', '/out'],
    root: stage0Tree,
    inputs: downloads,
    outputs: [['root', 'tree', tree(base)]],
  })

  const configured: Files = { ...base, 'etc/issue': issue, 'etc/ssl/copy.cnf': base['etc/ssl/openssl.cnf'] ?? '' }
  const configure = step({
    command: ['/bin/sh', '-c', 'printf "Authority host" > /etc/issue'],
    root: tree(base),
    roots: { root: '/' },
    inputs: [
      ['root', 'tree', tree(base)],
      ['bootstrap', 'receipt', bootstrap],
    ],
    outputs: [['root', 'tree', tree(configured)]],
  })

  const overlayFiles: Files = { 'etc/asl/asl.conf': 'mode = auto, from the overlay of the checkout\n' }
  const overlaid = { ...configured, ...overlayFiles }
  const overlay = step({
    command: 'op:overlay',
    inputs: [
      ['root', 'tree', tree(configured)],
      ['overlays/auth-host', 'overlay', tree(overlayFiles)],
    ],
    outputs: [['root', 'tree', tree(overlaid)]],
  })

  const final: Files = {
    ...overlaid,
    'usr/bin/openssl': { content: String(overlaid['usr/bin/openssl']), mode: 0o755, mtime: 1_600_000_000 },
  }
  const rootTree = tree(final)
  const normalise = step({
    command: 'op:normalise',
    inputs: [['root', 'tree', tree(overlaid)]],
    outputs: [['root', 'tree', rootTree]],
  })
  const cpio = blob('an initramfs')
  const initramfs = step({
    command: ['dracut', '--reproducible', 'initramfs'],
    root: stage0Tree,
    inputs: [['image', 'tree', rootTree]],
    outputs: [['initramfs', 'file', cpio]],
  })
  const image = blob('an ISO image, small')
  const iso = step({
    command: ['xorriso', '-as', 'mkisofs'],
    root: stage0Tree,
    inputs: [
      ['root', 'tree', rootTree],
      ['initramfs', 'file', cpio],
      ['normalise', 'receipt', normalise],
    ],
    outputs: [['auth-host.iso', 'image', image]],
  })
  const receipts = { stage0, bootstrap, configure, overlay, normalise, initramfs, iso }
  return { store, builder, archive, rootTree, rootReceipt: normalise, image, receipts }
}
