/** The vectors of the reference, byte for byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  COMMAND,
  DETERMINISM,
  decodeArtifact,
  decodeEdge,
  decodeReceipt,
  deterministicHalf,
  domainNumber,
  EDGE_TYPES,
  ENVIRONMENT,
  EVALUATOR_ID,
  EXECUTOR,
  encodeArtifact,
  encodeEdge,
  encodeReceipt,
  INPUT_MANIFEST,
  OUTPUT_MANIFEST,
  parseDomainId,
  type Receipt,
  type Reference,
  receiptReference,
  referenceOf,
  sha256,
  sha256Bytes,
  stepKey,
  TAG_EDGE,
  TREE,
  type TypeTag,
} from './mod.ts'

const HELLO = '00011f1d4ea728bc4c10bbc8211c7644aa950b6296c9b3e70d263e4ae6fc83e895e4' as Reference

test('ArtifactBytes and references are those of the reference §1', () => {
  const cases: [string, number | undefined, string, string][] = [
    ['', undefined, '000000000000000000', '00013e7077fd2f66d689e0cee6a7cf5b37bf2dca7c979af356d0a31cbc5c85605c7d'],
    ['hello', undefined, '00000000000000000568656c6c6f', HELLO],
    [
      'hello',
      0x101,
      '0100000101000000000000000568656c6c6f',
      '0001adf22c5a794f57472286d5041ecd291890292ed17ba30377403be1d8268125f5',
    ],
  ]
  for (const [content, tag, encoding, reference] of cases) {
    const typeTag = tag as TypeTag | undefined
    const bytes = encodeArtifact(Buffer.from(content), typeTag)
    assert.equal(bytes.toString('hex'), encoding)
    assert.equal(referenceOf(content, typeTag), reference)
    assert.deepEqual(decodeArtifact(bytes), { typeTag, bytes: Buffer.from(content) })
  }
})

test('a tree of one folder with one file has the bytes of the reference §8.4', () => {
  const bin = { entries: [{ name: Buffer.from('hi'), type: 'f' as const, mode: 0o755, ref: HELLO, size: 5 }] }
  assert.equal(
    TREE.encode(bin).toString('hex'),
    'a3617601646b696e646861736c2e7472656567656e747269657381a563726566582200011f1d4ea728bc4c10bbc8211c7644aa950b6296c9b3e70d263e4ae6fc83e895e4646d6f64651901ed646e616d654268696473697a650564747970656166',
  )
  const binRef = TREE.referenceOf(bin)
  assert.equal(binRef, '0001b7adf4c37e5efe7e5bb6e69227e7f0e3bcde77f820f72b5bcb856dbd0662009b')
  const top = { entries: [{ name: Buffer.from('bin'), type: 'd' as const, mode: 0o755, ref: binRef }] }
  assert.equal(TREE.referenceOf(top), '0001a49e6b123d12e99b190b21676362c07c2d9922a90bbc8354decc36440770b111')
  assert.deepEqual(TREE.decode(TREE.encode(top)), top)
})

const command = { argv: ['/bin/sh', '-c', 'cat in.txt > out.txt'], cwd: '/work', expectExit: [0] }
const inputs = { entries: [{ name: 'in.txt', role: 'file' as const, ref: HELLO, size: 5 }] }
const outputs = { exitCode: 0, entries: [{ name: 'out.txt', role: 'file' as const, ref: HELLO, size: 5 }] }
const environment = {
  arch: 'amd64' as const,
  network: 'none' as const,
  umask: 18,
  sourceDateEpoch: 1_700_000_000,
  vars: { LC_ALL: 'C', PATH: '/usr/bin:/bin', TZ: 'UTC' },
}
const executor = { name: 'asl-capture', version: '1.0.0' }
const receipt: Receipt = {
  functionRef: COMMAND.referenceOf(command),
  inputManifestRef: INPUT_MANIFEST.referenceOf(inputs),
  environmentRef: ENVIRONMENT.referenceOf(environment),
  evaluatorId: EVALUATOR_ID,
  outputRef: OUTPUT_MANIFEST.referenceOf(outputs),
  executorRefs: [EXECUTOR.referenceOf(executor)],
  parity: [
    {
      executorRef: EXECUTOR.referenceOf(executor),
      outputRef: OUTPUT_MANIFEST.referenceOf(outputs),
      parityDigest: sha256Bytes(OUTPUT_MANIFEST.encode(outputs)),
    },
  ],
  startedAt: 1_700_000_000,
  completedAt: 1_700_000_000,
}

test('the captured command of the reference §8.6 has its references', () => {
  const expected = {
    functionRef: '00018edc6d35ee7946211e536745b133115957e598c3dba07bb58efa95fa614bedf0',
    inputManifestRef: '0001219d32f4d979c018b5115eb1333403ddf49105567f809313b0a17a06a374f654',
    environmentRef: '00016f5e7b85a02384f75079631b3702afc2a5b210c519ca502fba2fab447a1b1b86',
    outputRef: '00011056524c4f9e195445bb7dfe8273a07a762d5bb94cfb9aa3ec253d3525c2c66b',
  }
  for (const [name, reference] of Object.entries(expected)) assert.equal(receipt[name as keyof Receipt], reference)
  assert.equal(receipt.executorRefs[0], '0001c1c3464f632ccace48cb7ebcce1827a267b6f22d74157e4d263c1889df823ebe')
  assert.equal(stepKey(receipt), 'f56f53859c4d3f9671826f1862769cbba033859a0a8feda8e8eb7dd4089ea102')
})

test('the deterministic receipt of the reference §8.6 has its bytes', () => {
  const bytes = encodeReceipt(receipt)
  assert.equal(bytes.length, 346)
  assert.equal(sha256(bytes), '8cbfbc5c76eade54d18cbc338c9a125e3c195b112dd40d9d6832b8b95f81da69')
  assert.equal(receiptReference(receipt), '000183b20ae97c744287937c26af8493daa4f7768076df704402cbb15861c023d6f6')
  assert.deepEqual(decodeReceipt(bytes), receipt)
})

test('the run half of the reference §8.6 has its reference and projects to the deterministic half', () => {
  const k2 = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
  const signature =
    '435c90345a4a0d5a6d7528925a949cf9d33c2cd71f85b26c5e1abab96e922bdf8c3b586eec4371d2eba9a5a7c23eeb8839f37f280bcfe78a3a0492d0ed6b7206'
  const run: Receipt = {
    ...receipt,
    startedAt: 1_700_000_100,
    completedAt: 1_700_000_101,
    run: {
      runId: Buffer.from('000102030405460788090a0b0c0d0e0f', 'hex'),
      limits: { cpuMs: 3, wallMs: 12, maxRssKib: 2048, ioReads: 0, ioWrites: 8 },
      determinism: { level: DETERMINISM.isolated, seed: Buffer.alloc(0) },
      signature: Buffer.from(`01${k2}${signature}`, 'hex'),
    },
  }
  const bytes = encodeReceipt(run)
  assert.equal(bytes.length, 532)
  assert.equal(receiptReference(run), '00015eb4c78abc370b43af8ea9a8e2d07f4309a748bf25114cf476a948f9879f58e2')
  assert.deepEqual(decodeReceipt(bytes), run)
  assert.deepEqual(deterministicHalf(run, 1_700_000_000), receipt)
})

test('the edge of the reference §10 has its bytes', () => {
  const ref = receiptReference(receipt)
  const edge = { type: EDGE_TYPES.PRODUCES, from: [ref], to: [HELLO], payload: receipt.outputRef }
  const bytes = encodeEdge(edge)
  assert.equal(bytes.length, 128)
  assert.equal(referenceOf(bytes, TAG_EDGE), '0001bbfdd4b1278b8003c8c2afc05044cf4c212a835952f6a7b86705439a4acd59c6')
  assert.deepEqual(decodeEdge(bytes), edge)
})

test('domain ids map to the numbers of the reference §2', () => {
  assert.equal(domainNumber(parseDomainId('00000000-0000-0000-0000-000000000001')), 1)
  assert.equal(parseDomainId('rescue-domain'), '70e7ae3e-76d8-5bcc-8c00-62faa57b312d')
  assert.equal(domainNumber(parseDomainId('rescue-domain')), 0xa57b312d)
})
