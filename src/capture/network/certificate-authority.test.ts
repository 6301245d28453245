import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer, isIP } from 'node:net'
import { test } from 'node:test'
import { connect, TLSSocket } from 'node:tls'
import { createCertificateAuthority } from './certificate-authority.ts'

const authority = createCertificateAuthority()

test('the certificate is an authority for leaves only, valid under any clock a sandbox may have', () => {
  const certificate = new X509Certificate(authority.pem)
  assert.equal(certificate.ca, true)
  assert.equal(certificate.validFromDate.getUTCFullYear(), 2000)
  assert.equal(certificate.validToDate.getUTCFullYear(), 2049)
  assert.ok(certificate.verify(certificate.publicKey))
})

for (const host of ['example.org', '127.0.0.1', '2001:db8::1:2']) {
  test(`a client that trusts the authority takes its leaf for ${host}, and for no other name`, async () => {
    const secureContext = authority.contextFor(host)
    const server = createServer(socket => {
      new TLSSocket(socket, { isServer: true, secureContext }).on('error', () => {})
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      await handshake(server.address() as AddressInfo, host, authority.pem)
      await assert.rejects(
        handshake(server.address() as AddressInfo, 'other.example', authority.pem),
        (error: NodeJS.ErrnoException) => error.code === 'ERR_TLS_CERT_ALTNAME_INVALID',
      )
      const stranger = createCertificateAuthority()
      await assert.rejects(handshake(server.address() as AddressInfo, host, stranger.pem))
    } finally {
      server.close()
    }
  })
}

async function handshake({ port }: AddressInfo, host: string, ca: string): Promise<void> {
  const socket = connect({
    socket: connectTcp(port, '127.0.0.1'),
    host,
    ca,
    ...(isIP(host) ? {} : { servername: host }),
  })
  try {
    await once(socket, 'secureConnect')
  } finally {
    socket.destroy()
  }
}
