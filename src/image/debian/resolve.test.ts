import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAslError } from '../../core/mod.ts'
import { type PackageIndex, packageIndex, readPackages, resolvePackages } from './mod.ts'

/** `name version: Field value; Field value` a line. */
async function indexOf(text: string): Promise<PackageIndex> {
  const stanzas = text
    .trim()
    .split('\n')
    .map(line => {
      const [head = '', fields = ''] = line.trim().split(/: (.*)/)
      const [name, version = '1.0'] = head.replace(/:$/, '').split(' ')
      const more = fields
        .split(';')
        .map(field => field.trim().replace(/^(\S+) /, '$1: '))
        .filter(field => field !== '')
      return [
        `Package: ${name}`,
        `Version: ${version}`,
        'Architecture: amd64',
        `Filename: pool/${name}.deb`,
        'Size: 1',
        `SHA256: ${'0'.repeat(64)}`,
        ...more,
      ].join('\n')
    })
  const origin = { baseUrl: 'http://archive.test/debian', suite: 'trixie', component: 'main' }
  return packageIndex([await readPackages([Buffer.from(stanzas.join('\n\n'))], 'Packages', origin)])
}

async function resolved(text: string, names: string[], options = {}): Promise<string> {
  return resolvePackages(await indexOf(text), names, options)
    .map(found => found.name)
    .join(' ')
}

test('the closure follows Depends and Pre-Depends, not Recommends, through loops', async () => {
  const index = `
    a: Depends b, c; Recommends r
    b: Pre-Depends d
    c: Depends a
    d
    r
    other`
  assert.equal(await resolved(index, ['a']), 'a b c d')
})

test('of alternatives the one that is there already wins, else the first that can be had', async () => {
  const index = `
    a: Depends missing | x | y
    b: Depends y | x
    x
    y`
  assert.equal(await resolved(index, ['a']), 'a x')
  assert.equal(await resolved(index, ['a', 'y']), 'a y')
  assert.equal(await resolved(index, ['b']), 'b y')
  assert.equal(await resolved(index, ['a', 'b']), 'a b x')
})

test('virtual packages: versioned provides, importance before name, a chosen provider first', async () => {
  const index = `
    wants-mta: Depends mta
    wants-new: Depends perlapi (>= 5.40)
    exim: Provides mta; Priority standard
    courier: Provides mta
    old: Provides perlapi (= 5.36)
    new: Provides perlapi (= 5.40.1)
    a-unversioned: Provides perlapi`
  assert.equal(await resolved(index, ['wants-mta']), 'exim wants-mta')
  assert.equal(await resolved(index, ['wants-mta', 'courier']), 'courier wants-mta')
  assert.equal(await resolved(index, ['wants-new']), 'new wants-new')
  assert.equal(await resolved(index, ['mta']), 'exim')
})

test('constraints look at the newest version; qualifiers of this architecture hold', async () => {
  const index = `
    a: Depends lib (>= 2), tool:any, native:amd64
    lib 1.5
    lib 2.1
    tool
    native`
  assert.equal(await resolved(index, ['a']), 'a lib native tool')
})

test('essential and priority options add what they name', async () => {
  const index = `
    a
    e: Essential yes
    r: Priority required
    i: Priority important`
  assert.equal(await resolved(index, ['a'], { essential: true }), 'a e')
  assert.equal(await resolved(index, ['a'], { essential: true, priorities: ['required'] }), 'a e r')
})

test('a name that is not there is an error with suite and nearest names', async () => {
  const index = await indexOf('mmdebstrap\nperl')
  assert.throws(
    () => resolvePackages(index, ['mmdebstarp']),
    error => {
      assert.ok(isAslError(error, 'PACKAGE_NOT_FOUND'))
      assert.match(error.message, /"mmdebstarp" in trixie \(main\)/)
      assert.match(error.hint ?? '', /mmdebstrap/)
      return true
    },
  )
})

test('what cannot be satisfied is said with who wants it, and what is on offer', async () => {
  const index = await indexOf('a: Depends b\nb: Depends lib (>= 2) | libx\nlib 1.0')
  assert.throws(
    () => resolvePackages(index, ['a']),
    error => {
      assert.ok(isAslError(error, 'PACKAGE_NOT_FOUND'))
      assert.match(error.message, /b 1\.0 \(wanted by a, asked for\) wants lib \(>= 2\) \| libx/)
      assert.match(error.message, /on offer: lib 1\.0/)
      return true
    },
  )
  await assert.rejects(resolved('a: Depends b:arm64\nb', ['a']), error => isAslError(error, 'PACKAGE_NOT_FOUND'))
})

test('packages that exclude each other are refused; providing what one conflicts with itself is fine', async () => {
  const clash = 'a: Depends b\nb\nc: Conflicts b'
  await assert.rejects(resolved(clash, ['a', 'c']), error => {
    assert.ok(isAslError(error, 'PACKAGE_CONFLICT'))
    assert.match(error.message, /c \(asked for\) and b 1\.0 \(wanted by a, asked for\)/)
    return true
  })
  assert.equal(await resolved('a: Breaks b (<< 1.0)\nb 1.0', ['a', 'b']), 'a b')
  assert.equal(await resolved('exim: Provides mta; Conflicts mta', ['exim']), 'exim')
  await assert.rejects(
    resolved('exim: Provides mta; Conflicts mta\ncourier: Provides mta', ['exim', 'courier']),
    error => isAslError(error, 'PACKAGE_CONFLICT'),
  )
})

test('the order of the names asked for does not matter', async () => {
  const index = 'a: Depends x | y\nb: Depends y | x\nx\ny'
  assert.equal(await resolved(index, ['a', 'b']), await resolved(index, ['b', 'a']))
})
