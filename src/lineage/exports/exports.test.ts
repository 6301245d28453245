import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Compile } from 'typebox/schema'
import { debianHistory } from '../../../tests/fakes/debian-history.ts'
import { historyBuilder } from '../../../tests/fakes/history-builder.ts'
import { sha256 } from '../../core/mod.ts'
import { type ExportFormat, exportHistory } from '../mod.ts'

const history = await debianHistory()
const SUBJECT = { store: history.store, tree: history.rootTree, name: 'auth-host.iso', toolVersion: '0.1.0' }

function write(format: ExportFormat): string {
  return exportHistory(SUBJECT, format)
}

const SCHEMAS = join(import.meta.dirname, '../../../node_modules/@cyclonedx/cyclonedx-library/res/schema')

/** The official schemas, as the official library ships them; it does not export them, so they are read as files. */
function checkCyclonedx(bom: unknown): readonly object[] {
  const schema = (name: string): object =>
    JSON.parse(readFileSync(join(SCHEMAS, `${name}.SNAPSHOT.schema.json`), 'utf8'))
  const parts = ['spdx', 'jsf-0.82', 'cryptography-defs']
  const context = Object.fromEntries(parts.map(name => [`${BASE}/${name}.SNAPSHOT.schema.json`, schema(name)]))
  const [isValid, errors] = Compile(context, schema('bom-1.7')).Errors(bom)
  return isValid ? [] : errors
}

const BASE = 'http://cyclonedx.org/schema'

test('the CycloneDX document is valid by the official schema of version 1.7', () => {
  assert.deepEqual(checkCyclonedx(JSON.parse(write('cyclonedx'))), [])
})

test('the official schema would refuse a document that breaks it', () => {
  const bom = JSON.parse(write('cyclonedx'))
  bom.formulation[0].workflows[0].tasks[0].taskTypes = ['compile']
  assert.notDeepEqual(checkCyclonedx(bom), [])
})

test('CycloneDX names each package with version, package URL, digest and URL, and each step as a task', () => {
  const bom = JSON.parse(write('cyclonedx'))
  assert.equal(bom.specVersion, '1.7')
  const openssl = bom.components.find((component: { name: string }) => component.name === 'openssl')
  assert.equal(openssl.purl, 'pkg:deb/debian/openssl@3.5.7-1~deb13u2?arch=amd64')
  const [url] = openssl.externalReferences
  assert.match(url.url, /^http:\/\/mirror\.internal\/.*openssl_3\.5\.7-1~deb13u2_amd64\.deb$/)
  assert.equal(openssl.hashes[0].content, sha256(history.archive.responses.get(url.url)!))
  const { tasks } = bom.formulation[0].workflows[0]
  const receipts = tasks.map((task: { uid: string }) => task.uid)
  const expected = ['stage0', 'bootstrap', 'configure', 'overlay', 'normalise'] as const
  assert.deepEqual(
    receipts,
    expected.map(name => `urn:asl:${history.receipts[name]}`),
  )
})

test('an in-toto statement of each step names plain digests that sha256sum can check', () => {
  const statements = write('in-toto')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  assert.equal(statements.length, 5)
  for (const statement of statements) {
    assert.equal(statement._type, 'https://in-toto.io/Statement/v1')
    assert.equal(statement.predicateType, 'https://slsa.dev/provenance/v1')
    for (const { name, digest } of statement.subject) {
      assert.equal(typeof name, 'string')
      assert.match(digest.sha256, /^[0-9a-f]{64}$/)
    }
    const { buildDefinition, runDetails } = statement.predicate
    assert.match(buildDefinition.buildType, /^urn:/)
    assert.equal(typeof buildDefinition.externalParameters, 'object')
    for (const dependency of buildDefinition.resolvedDependencies) assert.ok(dependency.uri ?? dependency.digest)
    assert.match(runDetails.builder.id, /^urn:/)
    assertNoReservedNames(statement)
  }
  const bootstrap = statements.find(
    statement => statement.predicate.buildDefinition.externalParameters.argv?.[0] === 'mmdebstrap',
  )
  const dependencies = bootstrap.predicate.buildDefinition.resolvedDependencies
  const deb = dependencies.find((dependency: { uri: string }) =>
    dependency.uri.endsWith('openssl_3.5.7-1~deb13u2_amd64.deb'),
  )
  assert.equal(deb.digest.sha256, sha256(history.archive.responses.get(deb.uri)!))
})

/** Consumers read own field names as paths: no `.` and no `$` (in-toto Attestation, parsing rules). */
function assertNoReservedNames(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, member] of Object.entries(value)) {
    assert.doesNotMatch(key, /[.$]/)
    assertNoReservedNames(member)
  }
}

test('SPDX 2.3 has every required field, ids of the allowed form, and relations between elements that exist', () => {
  const document = JSON.parse(write('spdx'))
  assert.equal(document.spdxVersion, 'SPDX-2.3')
  assert.equal(document.dataLicense, 'CC0-1.0')
  assert.match(document.creationInfo.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  assert.match(document.documentNamespace, /^urn:uuid:[0-9a-f-]{36}$/)
  const ids = [document.SPDXID, ...document.packages.map((pkg: { SPDXID: string }) => pkg.SPDXID)]
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) assert.match(id, /^SPDXRef-[A-Za-z0-9.-]+$/)
  for (const pkg of document.packages) {
    for (const field of ['name', 'downloadLocation', 'licenseConcluded', 'licenseDeclared', 'copyrightText']) {
      assert.equal(typeof pkg[field], 'string', field)
    }
  }
  for (const { spdxElementId, relatedSpdxElement } of document.relationships) {
    assert.ok(ids.includes(spdxElementId) && ids.includes(relatedSpdxElement))
  }
})

test('SPDX 3.0.1 names each element once, and relations end at elements of the document', () => {
  const document = JSON.parse(write('spdx3'))
  assert.equal(document['@context'], 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld')
  const [creation, header, ...elements] = document['@graph']
  assert.equal(creation.specVersion, '3.0.1')
  const ids: readonly string[] = elements.map((element: { spdxId: string }) => element.spdxId)
  assert.equal(new Set(ids).size, ids.length)
  assert.deepEqual(header.element, ids)
  assert.ok(creation.createdBy.every((id: string) => ids.includes(id)))
  const builds = elements.filter((element: { type: string }) => element.type === 'build_Build')
  assert.equal(builds.length, 5)
  for (const element of elements.filter((candidate: { type: string }) => candidate.type === 'Relationship')) {
    assert.ok(ids.includes(element.from), element.from)
    for (const to of element.to) assert.ok(ids.includes(to), to)
  }
})

test('the same history gives the same bytes in every format', () => {
  for (const format of ['in-toto', 'cyclonedx', 'spdx', 'spdx3'] as const) assert.equal(write(format), write(format))
})

test('hostile names end as text in every format', () => {
  const { store, blob, tree, step } = historyBuilder()
  const root = tree({ 'var/lib/dpkg/status': 'Package: "}],\nVersion: \u0000</x>\nArchitecture: a b\n' })
  step({
    command: ['/bin/sh', '-c', '"}]}\u0000\u202e'],
    inputs: [['http://[not a url', 'download', blob('x')]],
    outputs: [['"\n', 'tree', root]],
  })
  for (const format of ['cyclonedx', 'spdx', 'spdx3'] as const) {
    JSON.parse(exportHistory({ store, tree: root, name: '"}', toolVersion: '0' }, format))
  }
  const bom = JSON.parse(exportHistory({ store, tree: root, name: '"}', toolVersion: '0' }, 'cyclonedx'))
  assert.deepEqual(checkCyclonedx(bom), [])
})

test('a package is found with its download: a version with an epoch, a scoped npm package; a stranger has none', () => {
  const { store, blob, tree, step } = historyBuilder()
  const root = tree({
    'var/lib/dpkg/status':
      'Package: a\nVersion: 2:1.0~rc1-1\nArchitecture: all\n\nPackage: b\nVersion: 1\nArchitecture: all\n',
  })
  step({
    command: ['install'],
    inputs: [
      ['http://m.internal/pool/a_1.0%7erc1-1_all.deb', 'download', blob('a')],
      ['http://npm.internal/@s/n/-/n-1.2.3.tgz', 'download', blob('n')],
    ],
    outputs: [['root', 'tree', root]],
  })
  const subject = { store, tree: root, name: 'x', toolVersion: '0' }
  const bom = JSON.parse(exportHistory(subject, 'cyclonedx'))
  assert.deepEqual(
    bom.components.map((component: { purl: string; externalReferences?: object[] }) => [
      component.purl,
      component.externalReferences?.length ?? 0,
    ]),
    [
      ['pkg:deb/debian/a@2%3A1.0~rc1-1?arch=all', 1],
      ['pkg:deb/debian/b@1?arch=all', 0],
      ['pkg:npm/%40s/n@1.2.3', 1],
    ],
  )
})
