import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Certificate, Extension } from 'pkijs'

/** An authority that lives as long as its recorder and is trusted inside one sandbox alone. */
export interface CertificateAuthority {
  /** Its certificate, to be mounted in the sandbox. Different in every run, and no input. */
  readonly pem: string
  /** What a server needs to be this host, by name or address. */
  contextFor(host: string): Promise<SecureContext>
}

/**
 * Valid at any time a sandbox may believe in: the clock in there can be set back to SOURCE_DATE_EPOCH, or ahead.
 * The end is the last year that UTCTime can say (RFC 5280 §4.1.2.5).
 */
const NOT_BEFORE = new Date('2000-01-01T00:00:00Z')
const NOT_AFTER = new Date('2049-12-31T23:59:59Z')

const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const
const MAX_LEAVES = 1000

/** Object identifiers of RFC 5280 §4.2.1. */
const OID = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const

export async function createCertificateAuthority(): Promise<CertificateAuthority> {
  // Loaded when the first recorder wants it: 40 ms that most verbs do not need.
  const pki = await import('pkijs')
  const asn1 = await import('asn1js')
  const { subtle } = webcrypto
  const keys = await subtle.generateKey(KEY, true, ['sign', 'verify'])
  const keyPem = createPrivateKey({
    key: Buffer.from(await subtle.exportKey('pkcs8', keys.privateKey)),
    format: 'der',
    type: 'pkcs8',
  }).export({ format: 'pem', type: 'pkcs8' })
  // One key serves the authority and all its leaves: they share one life, one process and one purpose.
  const keyId = Buffer.from(await subtle.digest('SHA-1', await subtle.exportKey('spki', keys.publicKey)))
  const authorityName = `asl recorder ${randomBytes(4).toString('hex')}`

  const extension = (extnID: string, critical: boolean, value: { toBER(): ArrayBuffer }): Extension =>
    new pki.Extension({ extnID, critical, extnValue: value.toBER() })
  const keyUsage = (bits: number, unused: number): Extension =>
    extension(OID.keyUsage, true, new asn1.BitString({ valueHex: Uint8Array.of(bits).buffer, unusedBits: unused }))
  const subjectKeyId = extension(
    OID.subjectKeyIdentifier,
    false,
    new asn1.OctetString({ valueHex: arrayBuffer(keyId) }),
  )

  const sign = async (commonName: string, extensions: Extension[]): Promise<Certificate> => {
    const certificate = new pki.Certificate()
    const serial = randomBytes(16)
    serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40 // positive, and never shortened
    certificate.version = 2
    certificate.serialNumber = new asn1.Integer({ valueHex: arrayBuffer(serial) })
    const name = (value: string) =>
      new pki.AttributeTypeAndValue({ type: OID.commonName, value: new asn1.Utf8String({ value }) })
    certificate.issuer.typesAndValues.push(name(authorityName))
    certificate.subject.typesAndValues.push(name(commonName))
    certificate.notBefore.value = NOT_BEFORE
    certificate.notAfter.value = NOT_AFTER
    certificate.extensions = extensions
    await certificate.subjectPublicKeyInfo.importKey(keys.publicKey)
    await certificate.sign(keys.privateKey, 'SHA-256')
    return certificate
  }

  const authority = await sign(authorityName, [
    extension(OID.basicConstraints, true, new pki.BasicConstraints({ cA: true, pathLenConstraint: 0 }).toSchema()),
    keyUsage(0b0000_0110, 1), // keyCertSign, cRLSign
    subjectKeyId,
  ])
  const pem = pemOf(authority)

  const leafPem = async (host: string): Promise<string> => {
    const bare = host.replace(/^\[|\]$/g, '')
    const altName =
      isIP(bare) === 0
        ? new pki.GeneralName({ type: 2, value: bare })
        : new pki.GeneralName({ type: 7, value: new asn1.OctetString({ valueHex: arrayBuffer(addressBytes(bare)) }) })
    const leaf = await sign(bare.slice(0, 64), [
      extension(OID.basicConstraints, true, new pki.BasicConstraints({ cA: false }).toSchema()),
      keyUsage(0b1000_0000, 7), // digitalSignature
      extension(OID.extendedKeyUsage, false, new pki.ExtKeyUsage({ keyPurposes: [OID.serverAuth] }).toSchema()),
      extension(OID.subjectAltName, false, new pki.GeneralNames({ names: [altName] }).toSchema()),
      extension(
        OID.authorityKeyIdentifier,
        false,
        new pki.AuthorityKeyIdentifier({
          keyIdentifier: new asn1.OctetString({ valueHex: arrayBuffer(keyId) }),
        }).toSchema(),
      ),
    ])
    return pemOf(leaf)
  }

  const contexts = new Map<string, Promise<SecureContext>>()
  return {
    pem,
    contextFor(host) {
      const known = contexts.get(host)
      if (known !== undefined) return known
      if (contexts.size >= MAX_LEAVES) contexts.clear()
      const made = leafPem(host).then(cert => createSecureContext({ key: keyPem, cert: cert + pem }))
      contexts.set(host, made)
      return made
    },
  }
}

function pemOf(certificate: Certificate): string {
  return new X509Certificate(Buffer.from(certificate.toSchema().toBER())).toString()
}

/** 4 or 16 bytes of an address in text. The URL parser has brought IPv6 into its canonical form. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const words = (text: string): number[] => (text === '' ? [] : text.split(':').map(word => Number.parseInt(word, 16)))
  const first = words(head)
  const last = tail === undefined ? [] : words(tail)
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
  return Buffer.from(all.flatMap(word => [word >> 8, word & 0xff]))
}

/** Exactly these bytes: a small Buffer is a window on a shared pool. */
function arrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer
}
