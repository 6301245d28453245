import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PE_FIELDS, peBytes } from '../../tests/fakes/pe-builder.ts'
import { authenticodeDigest, peCertificates } from './authenticode.ts'
import { bufferSource } from './byte-source.ts'
import { peSectionSource, readPe } from './pe.ts'

const CODE = Buffer.from('code')
const SECTIONS = [
  ['.osrel', Buffer.from('ID=asl\n')],
  ['.cmdline', Buffer.from('quiet')],
] as const
const CERTIFICATE = Buffer.concat([
  Buffer.from([21, 0, 0, 0, 0, 2, 2, 0]),
  Buffer.from('PKCS#7 content'),
  Buffer.alloc(2),
])

test('readPe() reads headers and sections; a section is as long as it is meant to be', () => {
  const pe = readPe(bufferSource(peBytes({ code: CODE, sections: SECTIONS }), 'uki.efi'))
  assert.deepEqual([pe.machine, pe.subsystem, pe.certificates], [0x8664, 10, undefined])
  assert.deepEqual(
    pe.sections.map(section => section.name),
    ['.text', '.osrel', '.cmdline'],
  )
  assert.equal(peSectionSource(pe, '.cmdline')?.read(0, 5).toString(), 'quiet')
  assert.equal(peSectionSource(pe, '.cmdline')?.sizeBytes, 5)
  assert.equal(peSectionSource(pe, '.absent'), undefined)
})

test('authenticodeDigest() does not see signature, checksum and certificate entry, and sees every other byte', () => {
  const unsigned = peBytes({ code: CODE, sections: SECTIONS })
  const digest = digestOf(unsigned)
  const signed = peBytes({ code: CODE, sections: SECTIONS, certificates: CERTIFICATE })
  signed.writeUInt32LE(0xdeadbeef, PE_FIELDS.checksum)
  assert.equal(digestOf(signed), digest)
  assert.deepEqual(
    peCertificates(readPe(bufferSource(signed))).map(({ revision, type, content }) => [
      revision,
      type,
      content.sizeBytes,
    ]),
    [[0x0200, 2, 13]],
  )
  for (let at = PE_FIELDS.firstSection + 120; at < unsigned.length; at += 7) {
    const changed = Buffer.from(unsigned)
    changed[at] = (changed[at] as number) ^ 1
    assert.notEqual(digestOf(changed), digest, `byte ${at}`)
  }
})

test('a file that is no multiple of 8 is padded with zeros', () => {
  const bytes = peBytes({ code: CODE })
  const tail = Buffer.concat([bytes, Buffer.from('abc')])
  const padded = Buffer.concat([tail, Buffer.alloc(5)])
  assert.equal(digestOf(tail), digestOf(padded))
})

test('what signers and firmware would hash differently is refused', () => {
  const gap = peBytes({ code: CODE, sections: SECTIONS })
  const second = PE_FIELDS.firstSection + 40 + 20
  gap.writeUInt32LE(gap.readUInt32LE(second) + 512, second)
  assert.throws(() => digestOf(gap), { code: 'FORMAT_INVALID', message: /section \.(osrel|cmdline): begins at/ })
  const notAtEnd = Buffer.concat([peBytes({ code: CODE, certificates: CERTIFICATE }), Buffer.alloc(8)])
  assert.throws(() => digestOf(notAtEnd), { code: 'FORMAT_INVALID', message: /not at the end/ })
  const inside = peBytes({ code: CODE, certificates: CERTIFICATE })
  inside.writeUInt32LE(512, PE_FIELDS.certificateEntry)
  inside.writeUInt32LE(inside.length - 512, PE_FIELDS.certificateEntry + 4)
  assert.throws(() => digestOf(inside), { code: 'FORMAT_INVALID', message: /behind what is signed/ })
})

test('headers that lie are refused', () => {
  for (const [offset, value, message] of [
    [0, 0, /no PE file/],
    [60, 0xfffffff0, /the PE header wants/],
    [64, 0, /no signature/],
    [PE_FIELDS.sectionCount, 0xffff, /65535 sections/],
    [PE_FIELDS.optionalBytes, 2, /no room for a certificate table/],
    [PE_FIELDS.magic, 0x107, /neither PE32 nor PE32/],
    [PE_FIELDS.sizeOfHeaders, 100, /headers of 100 bytes/],
    [PE_FIELDS.directoryCount, 4, /no room for a certificate table/],
    [PE_FIELDS.certificateEntry, 0xfffff, /the certificate table wants/],
    [PE_FIELDS.firstSection + 20, 0xfffff, /section \.text wants/],
  ] as const) {
    const bytes = peBytes({ code: CODE })
    if (value > 0xffff) bytes.writeUInt32LE(value, offset)
    else bytes.writeUInt16LE(value, offset)
    assert.throws(() => readPe(bufferSource(bytes)), { code: 'FORMAT_INVALID', message }, `offset ${offset}`)
  }
  assert.throws(() => readPe(bufferSource(Buffer.from('MZ'))), { code: 'FORMAT_INVALID' })
})

test('a certificate that says it is longer than its table is refused', () => {
  const bytes = peBytes({ code: CODE, certificates: Buffer.from([99, 0, 0, 0, 0, 2, 2, 0]) })
  assert.throws(() => peCertificates(readPe(bufferSource(bytes))), { code: 'FORMAT_INVALID', message: /99 bytes/ })
})

function digestOf(bytes: Buffer): string {
  return authenticodeDigest(readPe(bufferSource(bytes)))
}
