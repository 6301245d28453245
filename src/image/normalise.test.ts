import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KINDS, type Reference, TREE, type TreeEntry } from '../core/mod.ts'
import { memoryStore, openDraft, resolvePath, type Store } from '../store/mod.ts'
import { normaliseRoot } from './normalise.ts'

type Shape = { readonly [name: string]: string | Shape }

function put(store: Store, shape: Shape): Reference {
  const writer = store.openWriter()
  const folder = (members: Shape): Reference => {
    const entries = Object.entries(members).map(([key, value]): TreeEntry => {
      const name = Buffer.from(key)
      if (typeof value !== 'string') return { name, type: 'd', mode: 0o755, ref: folder(value) }
      return { name, type: 'f', mode: 0o640, ref: writer.put(Buffer.from(value)), size: value.length }
    })
    return writer.put(TREE.encode({ entries }), KINDS['asl.tree'])
  }
  const ref = folder(shape)
  writer.commit()
  return ref
}

const ROOT: Shape = {
  dev: { null: '' },
  etc: {
    'machine-id': '8f3c\n',
    shadow: 'root:*:20000:0:99999:7:::\nx:!:20001::::::\n',
    'shadow-': 'old',
    'passwd-': 'old',
  },
  tmp: { rest: 'x' },
  usr: { lib: { 'os-release': 'ID=debian\nIMAGE_ID=old\n', python3: { __pycache__: { 'a.pyc': 'x' } } } },
  var: { cache: { ldconfig: { 'aux-cache': 'x' } }, log: { 'dpkg.log': 'x', apt: { 'history.log': 'x' } } },
}
const IDENTITY = { hostname: 'host', imageId: 'image', imageVersion: '1', epoch: 1_000_000_000 }

function normalised(shape: Shape): { read(path: string): string | undefined; ref: Reference } {
  const store = memoryStore()
  const draft = openDraft(store, put(store, shape))
  const writer = store.openWriter()
  normaliseRoot(store, writer, draft, IDENTITY)
  const ref = draft.put(writer)
  writer.commit()
  return {
    ref,
    read: path => {
      const entry = resolvePath(store, ref, path)
      return entry?.ref === undefined || entry.type === 'd' ? undefined : store.read(entry.ref).toString()
    },
  }
}

test('what installations leave to chance is gone, what identifies the image is written', () => {
  const { read } = normalised(ROOT)
  for (const path of [
    'dev/null',
    'tmp/rest',
    'etc/shadow-',
    'etc/passwd-',
    'var/log/dpkg.log',
    'var/log/apt/history.log',
  ]) {
    assert.equal(read(path), undefined, path)
  }
  assert.equal(read('usr/lib/python3/__pycache__/a.pyc'), undefined)
  assert.equal(read('etc/machine-id'), '')
  assert.equal(read('etc/hostname'), 'host\n')
  assert.equal(read('usr/lib/os-release'), 'ID=debian\nIMAGE_ID=image\nIMAGE_VERSION=1\n')
})

test('the days of password changes are the day of the epoch', () => {
  assert.equal(normalised(ROOT).read('etc/shadow'), 'root:*:11574:0:99999:7:::\nx:!:11574::::::\n')
})

test('two installations that differ in chance alone give one tree', () => {
  const other: Shape = {
    ...ROOT,
    etc: { ...(ROOT.etc as Shape), 'machine-id': 'other\n', shadow: 'root:*:20555:0:99999:7:::\nx:!:20556::::::\n' },
    var: { cache: { ldconfig: { 'aux-cache': 'y' } }, log: { 'dpkg.log': 'y', apt: { 'term.log': 'y' } } },
  }
  assert.equal(normalised(other).ref, normalised(ROOT).ref)
})
