import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COREUTILS, type DebianHistoryOptions, debianHistory, OPENSSL } from '../../tests/fakes/debian-history.ts'
import { historyBuilder } from '../../tests/fakes/history-builder.ts'
import { archiveReaders, type DiffSubject, diffHistories, diffReceipts, formatDiff, type HistoryDiff } from './mod.ts'

async function subject(options: DebianHistoryOptions = {}): Promise<DiffSubject> {
  const { store, rootTree } = await debianHistory(options)
  return { store, tree: rootTree, readers: archiveReaders(store), name: 'root' }
}

function filesOf(diff: HistoryDiff, kind: string): readonly string[] {
  return diff.groups
    .filter(group => group.cause?.change.kind === kind)
    .flatMap(group => group.files.map(file => file.path))
}

const NEWER = {
  ...OPENSSL,
  version: '3.5.8-1',
  files: { ...OPENSSL.files, 'usr/bin/openssl': 'a newer openssl program, long enough\n' },
}

test('equal histories have no difference', async () => {
  const one = await subject()
  const diff = await diffHistories(one, one)
  assert.deepEqual(diff, { counts: { added: 0, removed: 0, changed: 0 }, groups: [], idle: [] })
})

test('a file of another package version is laid to the package, by both its names', async () => {
  const diff = await diffHistories(await subject(), await subject({ packages: [NEWER, COREUTILS] }))
  const group = diff.groups.find(({ files }) => files.some(file => file.path === '/usr/bin/openssl'))
  assert.ok(group?.cause?.change.kind === 'input')
  assert.match(group.cause.change.a?.name ?? '', /openssl_3\.5\.7-1~deb13u2_amd64\.deb$/)
  assert.match(group.cause.change.b?.name ?? '', /openssl_3\.5\.8-1_amd64\.deb$/)
})

test('a file that a step wrote differently is laid to its command', async () => {
  const commands = (text: string) => {
    const { store, blob, tree, step } = historyBuilder()
    const base = { 'etc/hostname': 'host\n' }
    step({ command: 'op:make', inputs: [['seed', 'file', blob('seed')]], outputs: [['root', 'tree', tree(base)]] })
    const root = tree({ ...base, 'etc/issue': text })
    step({
      command: ['/bin/sh', '-c', `echo ${text} > /etc/issue`],
      inputs: [['root', 'tree', tree(base)]],
      outputs: [['root', 'tree', root]],
    })
    return { store, tree: root, readers: archiveReaders(store), name: text }
  }
  const diff = await diffHistories(commands('one'), commands('two'))
  assert.deepEqual(filesOf(diff, 'command'), ['/etc/issue'])
})

test('equal command, environment and inputs with another result is called chance', async () => {
  const same = (text: string) => {
    const { store, blob, tree, step } = historyBuilder()
    const root = tree({ 'etc/machine-id': text })
    step({ command: ['dbus-uuidgen'], inputs: [['seed', 'file', blob('seed')]], outputs: [['root', 'tree', root]] })
    return { store, tree: root, readers: archiveReaders(store), name: text }
  }
  const chance = await diffHistories(same('a'), same('b'))
  assert.deepEqual(filesOf(chance, 'chance'), ['/etc/machine-id'])
})

test('a step that only one history has is the cause of what it changed', async () => {
  const history = (hasExtra: boolean) => {
    const { store, blob, tree, step } = historyBuilder()
    const base = { 'etc/hostname': 'host\n' }
    step({ command: 'op:make', inputs: [['seed', 'file', blob('seed')]], outputs: [['root', 'tree', tree(base)]] })
    const extra = { ...base, 'etc/motd': 'welcome\n' }
    if (hasExtra) {
      step({ command: ['motd'], inputs: [['root', 'tree', tree(base)]], outputs: [['root', 'tree', tree(extra)]] })
    }
    const before = hasExtra ? extra : base
    const last = tree({ ...before, 'etc/last': 'last\n' })
    step({ command: ['last'], inputs: [['root', 'tree', tree(before)]], outputs: [['root', 'tree', last]] })
    return { store, tree: last, readers: archiveReaders(store), name: 'root' }
  }
  const diff = await diffHistories(history(false), history(true))
  assert.deepEqual(filesOf(diff, 'step-added'), ['/etc/motd'])
  assert.deepEqual(diff.counts, { added: 1, removed: 0, changed: 0 })
})

test('a difference in a tool that a step used is found in the history of the tool', async () => {
  const history = (compiler: string) => {
    const { store, blob, tree, step } = historyBuilder()
    const tools = tree({ 'usr/bin/cc': compiler })
    step({ command: ['build-cc'], inputs: [['cc.c', 'file', blob(compiler)]], outputs: [['tools', 'tree', tools]] })
    const root = tree({ 'usr/bin/program': `compiled by ${compiler}` })
    step({
      command: ['cc', 'program.c'],
      root: tools,
      inputs: [['program.c', 'file', blob('int main')]],
      outputs: [['root', 'tree', root]],
    })
    return { store, tree: root, readers: archiveReaders(store), name: compiler }
  }
  const diff = await diffHistories(history('cc 1'), history('cc 2'))
  const [group] = diff.groups
  assert.ok(group?.cause?.change.kind === 'input')
  assert.equal(group.cause.change.a?.name, 'cc.c')
  assert.deepEqual(
    group.files.map(file => file.path),
    ['/usr/bin/program'],
  )
})

test('of two overlays each path is laid to the one it came from, and to what that was made of', async () => {
  const history = (source: string, setting: string) => {
    const { store, blob, tree, step } = historyBuilder()
    const base = { 'etc/hostname': 'a host of this name\n' }
    step({ command: 'op:make', inputs: [['seed', 'file', blob('seed')]], outputs: [['root', 'tree', tree(base)]] })
    const [program, plain] = [
      { 'usr/bin/p': `compiled ${source}, long enough` },
      { 'etc/p.conf': `${setting}, long enough` },
    ]
    step({ command: ['cc'], inputs: [['p.c', 'file', blob(source)]], outputs: [['overlay', 'tree', tree(program)]] })
    const root = tree({ ...base, ...program, ...plain })
    step({
      command: 'op:overlay',
      inputs: [
        ['root', 'tree', tree(base)],
        ['overlay', 'overlay', tree(plain)],
        ['program', 'overlay', tree(program)],
      ],
      outputs: [['root', 'tree', root]],
    })
    return { store, tree: root, readers: archiveReaders(store), name: source }
  }
  const { groups } = await diffHistories(history('one', 'red'), history('two', 'blue'))
  const shown = groups.map(({ cause, files }) => [
    cause?.change.kind === 'input' ? cause.change.a?.name : cause?.change.kind,
    files.map(file => file.path),
  ])
  assert.deepEqual(shown, [
    ['p.c', ['/usr/bin/p']],
    ['overlay', ['/etc/p.conf']],
  ])
})

test('trees without receipts are compared all the same, and the text says that nothing explains them', async () => {
  const lone = (text: string) => {
    const { store, tree } = historyBuilder()
    return { store, tree: tree({ a: text, 'b/c': 'same' }), readers: archiveReaders(store), name: text }
  }
  const diff = await diffHistories(lone('one'), lone('two'))
  assert.deepEqual(diff.groups, [
    { cause: undefined, files: [{ path: '/a', kind: 'changed', fields: ['content'] }], omitted: 0 },
  ])
  assert.match(formatDiff(diff, { a: 'one', b: 'two' }), /no receipt says why/)
})

test('what is not listed is counted', async () => {
  const many = (text: string) => {
    const { store, tree } = historyBuilder()
    const files = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, `${text} ${i}`]))
    return { store, tree: tree(files), readers: archiveReaders(store), name: text }
  }
  const diff = await diffHistories(many('one'), many('two'), { maxFiles: 10 })
  assert.equal(diff.counts.changed, 30)
  assert.equal(diff.groups[0]?.files.length, 10)
  assert.equal(diff.groups[0]?.omitted, 20)
})

test('two receipts are compared by command, environment and inputs', async () => {
  const { store, blob, step } = historyBuilder()
  const out = [['out', 'file', blob('out')]] as const
  const a = step({ command: ['cc'], inputs: [['in', 'file', blob('1')]], outputs: out, vars: { CFLAGS: '-O1' } })
  const b = step({ command: ['cc'], inputs: [['in', 'file', blob('2')]], outputs: out, vars: { CFLAGS: '-O2' } })
  const causes = diffReceipts({ store, receipt: a }, { store, receipt: b })
  assert.deepEqual(
    causes.map(cause => cause.change.kind),
    ['environment', 'input'],
  )
})
