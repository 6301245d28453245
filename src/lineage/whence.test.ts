import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COREUTILS, debianHistory, OPENSSL } from '../../tests/fakes/debian-history.ts'
import { historyBuilder, MIRROR } from '../../tests/fakes/history-builder.ts'
import { isAslError } from '../core/mod.ts'
import { archiveReaders, bytePathOf, type Whence, type WhenceLink, whenceAsker } from './mod.ts'

const history = await debianHistory()
const asker = whenceAsker(history.store, { tree: history.rootTree }, archiveReaders(history.store))

async function ask(path: string): Promise<Whence> {
  return asker.whence(bytePathOf(path))
}

function kinds(whence: Whence): string {
  return whence.links.map(link => link.kind).join(' ← ')
}

function linkOf<K extends WhenceLink['kind']>(whence: Whence, kind: K): Extract<WhenceLink, { kind: K }> {
  const link = whence.links.findLast(candidate => candidate.kind === kind)
  assert.ok(link, `no ${kind} in ${kinds(whence)}`)
  return link as Extract<WhenceLink, { kind: K }>
}

test('a packaged file leads through package, URL, list and release to the key of the archive', async () => {
  const whence = await ask('/usr/bin/openssl')
  assert.equal(kinds(whence), 'tree ← retouch ← step ← package ← artifact ← index ← release ← key')
  assert.equal(linkOf(whence, 'step').receipt, history.receipts.bootstrap)
  assert.equal(linkOf(whence, 'package').version, OPENSSL.version)
  assert.equal(linkOf(whence, 'package').isListed, true)
  assert.equal(linkOf(whence, 'artifact').name, `${MIRROR}/pool/main/o/openssl/openssl_3.5.7-1~deb13u2_amd64.deb`)
  assert.match(linkOf(whence, 'index').url, /by-hash\/SHA256\/[0-9a-f]{64}$/)
  assert.equal(linkOf(whence, 'release').suite, 'trixie')
  assert.equal(linkOf(whence, 'key').fingerprint, history.archive.fingerprint)
  assert.equal(linkOf(whence, 'key').keyringFrom, 'root tree')
  assert.equal(whence.isComplete, true)
})

test('a later change of mode and time is told apart from the origin of the content', async () => {
  const retouch = linkOf(await ask('/usr/bin/openssl'), 'retouch')
  assert.equal(retouch.receipt, history.receipts.normalise)
  assert.deepEqual(retouch.fields, ['mode', 'mtime'])
})

test('links on the way are followed and shown, and the old name of a merged folder finds its package', async () => {
  const whence = await ask('/bin/ls')
  assert.equal(whence.file.path, '/usr/bin/ls')
  assert.deepEqual(whence.file.followed, [{ path: '/bin', target: 'usr/bin' }])
  assert.equal(linkOf(whence, 'package').name, COREUTILS.name)
  assert.equal(linkOf(whence, 'package').member, '/bin/ls')
  assert.match(linkOf(whence, 'package').proof.says, /of this path/)
  assert.equal(linkOf(whence, 'package').isListed, true)
})

test('a further name of a hard-linked file has the origin of its content', async () => {
  const whence = await ask('/usr/bin/dir')
  assert.equal(whence.file.linkTo, '/usr/bin/ls')
  assert.equal(linkOf(whence, 'package').name, COREUTILS.name)
})

test('a file that a step wrote leads to the step, its command and its inputs', async () => {
  const whence = await ask('/etc/issue')
  assert.equal(kinds(whence), 'tree ← step ← made')
  const step = linkOf(whence, 'step')
  assert.equal(step.receipt, history.receipts.configure)
  assert.equal(step.step, 'printf "Authority host" > /etc/issue')
  assert.deepEqual(
    linkOf(whence, 'made').inputs.map(group => [group.role, group.count]),
    [
      ['receipt', 1],
      ['tree', 1],
    ],
  )
})

test('a file that a maintainer script wrote leads to the step that ran it', async () => {
  assert.equal(kinds(await ask('/etc/ld.so.cache')), 'tree ← step ← made')
})

test('what dpkg keeps of a package leads to its control archive', async () => {
  const whence = await ask('/var/lib/dpkg/info/openssl.postinst')
  assert.equal(linkOf(whence, 'package').part, 'control')
})

test('an overlay file leads to its path in the checkout', async () => {
  const whence = await ask('/etc/asl/asl.conf')
  assert.equal(kinds(whence), 'tree ← step ← overlay')
  assert.equal(linkOf(whence, 'overlay').checkoutPath, 'overlays/auth-host/etc/asl/asl.conf')
})

test('a copy inside the tree leads to what it was copied from, and on', async () => {
  const whence = await ask('/etc/ssl/copy.cnf')
  assert.equal(kinds(whence), 'tree ← step ← tree ← step ← package ← artifact ← index ← release ← key')
  assert.equal(linkOf(whence, 'step').receipt, history.receipts.bootstrap)
})

test('a copy of a packaged file made while packages were configured names the member', async () => {
  const link = linkOf(await ask('/etc/openssl-copy.cnf'), 'package')
  assert.equal(link.member, '/etc/ssl/openssl.cnf')
  assert.equal(link.isListed, false)
})

test('an empty file is not credited to a package because some package has an empty file', async () => {
  assert.equal(kinds(await ask('/etc/empty')), 'tree ← step ← made')
  assert.equal(linkOf(await ask('/usr/share/doc/openssl/empty'), 'package').name, 'openssl')
})

test('a link that leads out of the tree has an origin of its own', async () => {
  const whence = await ask('/etc/mtab')
  assert.equal(whence.file.type, 'l')
  assert.equal(whence.file.target, '../proc/self/mounts')
  assert.equal(kinds(whence), 'tree ← step ← made')
})

test('a folder leads to the step that made it and the packages that list it', async () => {
  const whence = await ask('/etc/ssl')
  assert.equal(whence.file.type, 'd')
  assert.equal(kinds(whence), 'tree ← step ← made')
  assert.match(linkOf(whence, 'made').proof.says, /folder/)
})

test('an absent path is an error that names it', async () => {
  await assert.rejects(ask('/usr/bin/absent'), error => isAslError(error, 'PATH_NOT_FOUND'))
})

test('every regular file of the root tree has an origin', async () => {
  const without: string[] = []
  let count = 0
  for await (const whence of asker.whenceAll()) {
    count++
    if (!whence.isComplete) without.push(`${whence.path}: ${kinds(whence)}`)
  }
  assert.deepEqual(without, [])
  assert.ok(count >= 13, `${count} files`)
})

test('a forged release is no proof, and the chain says so', async () => {
  const forged = await debianHistory({ isReleaseForged: true })
  const whence = await whenceAsker(forged.store, { tree: forged.rootTree }, archiveReaders(forged.store)).whence(
    bytePathOf('/usr/bin/openssl'),
  )
  assert.equal(whence.isComplete, false)
  assert.match(linkOf(whence, 'unknown').reason, /not verified/)
})

test('without a keyring the chain ends at the release and says why', async () => {
  const { store, rootTree } = await debianHistory({ hasKeyring: false })
  const whence = await whenceAsker(store, { tree: rootTree }, archiveReaders(store)).whence(bytePathOf('/bin/ls'))
  assert.equal(whence.isComplete, false)
  assert.match(kinds(whence), /release ← unknown$/)
})

test('a tree without a receipt has no origin, and that is said, not guessed', async () => {
  const { store, tree } = historyBuilder()
  const root = tree({ 'etc/passwd': 'root:x:0:0::/root:/bin/sh\n' })
  const whence = await whenceAsker(store, { tree: root }, archiveReaders(store)).whence(bytePathOf('/etc/passwd'))
  assert.equal(whence.isComplete, false)
  assert.equal(kinds(whence), 'tree ← unknown')
})

test('a step without effect and a step that undid another lead in no circle', async () => {
  const { store, tree, blob, step } = historyBuilder()
  const [plain, changed] = [{ 'etc/a': 'first content of the file a\n' }, { 'etc/a': 'other content of the file a\n' }]
  const first = step({
    command: 'op:make',
    inputs: [['seed', 'file', blob('seed')]],
    outputs: [['root', 'tree', tree(plain)]],
  })
  const change = (name: string, from: typeof plain, to: typeof plain) =>
    step({ command: [name], inputs: [['root', 'tree', tree(from)]], outputs: [['root', 'tree', tree(to)]] })
  change('nothing', plain, plain)
  change('there', plain, changed)
  change('back', changed, plain)
  const whence = await whenceAsker(store, { tree: tree(plain) }, archiveReaders(store)).whence(bytePathOf('/etc/a'))
  assert.equal(linkOf(whence, 'step').receipt, first)
})

test('a circle of links is an error, not a hang', async () => {
  const { store, tree } = historyBuilder()
  const root = tree({ a: { link: 'b' }, b: { link: 'a' } })
  const lost = whenceAsker(store, { tree: root }, archiveReaders(store))
  const whence = await lost.whence(bytePathOf('/a/x')).catch(error => error)
  assert.ok(isAslError(whence, 'TREE_INVALID'), String(whence))
})
