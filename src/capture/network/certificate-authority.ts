import { generateKeyPairSync, hash, randomBytes, sign, X509Certificate } from 'node:crypto'
import { createRequire } from 'node:module'
import { isIP } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Extension } from 'pkijs'

/** An authority that lives as long as its recorder and is trusted inside one sandbox alone. */
export interface CertificateAuthority {
  /** Its certificate, to be mounted in the sandbox. Another one in every run, and no input. */
  readonly pem: string
  /** What a server needs to be this host, by name or address. */
  contextFor(host: string): SecureContext
}

/**
 * Valid at any time a sandbox may believe in: the clock in there can be set back to SOURCE_DATE_EPOCH, or ahead.
 * The end is the last year that UTCTime can say (RFC 5280 §4.1.2.5).
 */
const NOT_BEFORE = new Date('2000-01-01T00:00:00Z')
const NOT_AFTER = new Date('2049-12-31T23:59:59Z')

const MAX_LEAVES = 1000

/** Object identifiers: RFC 5280 §4.2.1, RFC 5758 §3.2. */
const OID = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const

/** Bits of the key usage extension, from the left. */
const DIGITAL_SIGNATURE = { bits: 0b1000_0000, unused: 7 }
const CERT_AND_CRL_SIGN = { bits: 0b0000_0110, unused: 1 }

export function createCertificateAuthority(): CertificateAuthority {
  // One key serves the authority and all its leaves: they share one life, one process and one purpose.
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' })
  const { pki, asn1 } = loadPki()
  const keyId = hash('sha1', spki, 'buffer')
  const name = `asl recorder ${randomBytes(4).toString('hex')}`

  const extension = (extnID: string, critical: boolean, value: { toBER(): ArrayBuffer }): Extension =>
    new pki.Extension({ extnID, critical, extnValue: value.toBER() })
  const keyUsage = ({ bits, unused }: typeof DIGITAL_SIGNATURE): Extension =>
    extension(OID.keyUsage, true, new asn1.BitString({ valueHex: bytes([bits]), unusedBits: unused }))
  const octets = (value: Iterable<number>) => new asn1.OctetString({ valueHex: bytes(value) })

  const issue = (subject: string, extensions: Extension[]): string => {
    const certificate = new pki.Certificate()
    const serial = randomBytes(16)
    serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40 // positive, and never shortened
    const algorithm = () => new pki.AlgorithmIdentifier({ algorithmId: OID.ecdsaWithSha256 })
    const commonName = (value: string) =>
      new pki.AttributeTypeAndValue({ type: OID.commonName, value: new asn1.Utf8String({ value }) })
    certificate.version = 2
    certificate.serialNumber = new asn1.Integer({ valueHex: bytes(serial) })
    certificate.issuer.typesAndValues.push(commonName(name))
    certificate.subject.typesAndValues.push(commonName(subject))
    certificate.notBefore.value = NOT_BEFORE
    certificate.notAfter.value = NOT_AFTER
    certificate.subjectPublicKeyInfo = pki.PublicKeyInfo.fromBER(bytes(spki))
    certificate.extensions = extensions
    certificate.signature = algorithm()
    certificate.signatureAlgorithm = algorithm()
    const signed = Buffer.from(certificate.encodeTBS().toBER())
    certificate.signatureValue = new asn1.BitString({ valueHex: bytes(sign('sha256', signed, privateKey)) })
    return new X509Certificate(Buffer.from(certificate.toSchema(true).toBER())).toString()
  }

  const pem = issue(name, [
    extension(OID.basicConstraints, true, new pki.BasicConstraints({ cA: true, pathLenConstraint: 0 }).toSchema()),
    keyUsage(CERT_AND_CRL_SIGN),
    extension(OID.subjectKeyIdentifier, false, octets(keyId)),
  ])

  const issueLeaf = (host: string): string => {
    const bare = host.replace(/^\[|\]$/g, '')
    const altName =
      isIP(bare) === 0
        ? new pki.GeneralName({ type: 2, value: bare })
        : new pki.GeneralName({ type: 7, value: octets(addressBytes(bare)) })
    return issue(bare.slice(0, 64), [
      extension(OID.basicConstraints, true, new pki.BasicConstraints({ cA: false }).toSchema()),
      keyUsage(DIGITAL_SIGNATURE),
      extension(OID.extendedKeyUsage, false, new pki.ExtKeyUsage({ keyPurposes: [OID.serverAuth] }).toSchema()),
      extension(OID.subjectAltName, false, new pki.GeneralNames({ names: [altName] }).toSchema()),
      extension(
        OID.authorityKeyIdentifier,
        false,
        new pki.AuthorityKeyIdentifier({ keyIdentifier: octets(keyId) }).toSchema(),
      ),
    ])
  }

  const contexts = new Map<string, SecureContext>()
  return {
    pem,
    contextFor(host) {
      let context = contexts.get(host)
      if (context === undefined) {
        if (contexts.size >= MAX_LEAVES) contexts.clear()
        context = createSecureContext({ key, cert: issueLeaf(host) + pem })
        contexts.set(host, context)
      }
      return context
    },
  }
}

/** Loaded when the first recorder wants it: 40 ms that most verbs do not need. */
function loadPki(): { readonly pki: typeof import('pkijs'); readonly asn1: typeof import('asn1js') } {
  const require = createRequire(import.meta.url)
  return { pki: require('pkijs'), asn1: require('asn1js') }
}

/** 4 or 16 bytes of an address in text. The URL parser has brought IPv6 into its canonical form. */
function addressBytes(address: string): number[] {
  if (isIP(address) === 4) return address.split('.').map(Number)
  const [head = '', tail] = address.split('::')
  const words = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map(word => Number.parseInt(word, 16))
  const first = words(head)
  const last = words(tail)
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
  return all.flatMap(word => [word >> 8, word & 0xff])
}

/** Exactly these bytes: a small Buffer is a window on a shared pool. */
function bytes(content: Iterable<number>): ArrayBuffer {
  return Uint8Array.from(content).buffer
}
