import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { type AslError, isAslError } from '../../core/mod.ts'
import { errnoOf } from '../../sys/mod.ts'
import type { CertificateAuthority } from './certificate-authority.ts'

/** A client speaks first in TLS. One that waits for the server's greeting speaks another protocol. */
const FIRST_BYTES_TIMEOUT_MS = 10_000
const HANDSHAKE_TIMEOUT_MS = 30_000

/** Record type 22 (handshake) and the major version that every TLS client still sends first: RFC 8446 §5.1. */
const TLS_HANDSHAKE = 0x16
const TLS_MAJOR = 0x03

/** An opened TLS connection of the step, from which plain requests can be read. */
export interface Intercepted {
  readonly socket: TLSSocket
}

export type InterceptResult = Intercepted | { readonly refused: string }

/**
 * Becomes the server that the step believes to talk to. Returns once the client has accepted our certificate, or why
 * it did not come to that: the bytes are not TLS, or the program trusts no authority but its own.
 */
export async function intercept(
  client: Socket,
  head: Buffer,
  host: string,
  authority: CertificateAuthority,
): Promise<InterceptResult> {
  client.write('HTTP/1.1 200 Connection established\r\n\r\n')
  const first = head.length > 0 ? head : await firstBytes(client)
  if (first === undefined) return { refused: 'nothing was sent through the tunnel' }
  if (client.destroyed) return { refused: 'the program went away before its TLS handshake' }
  if (first[0] !== TLS_HANDSHAKE || (first.length > 1 && first[1] !== TLS_MAJOR)) {
    client.destroy()
    return { refused: 'what was sent through the tunnel is not TLS' }
  }
  client.unshift(first)
  const secureContext = authority.contextFor(host)
  const socket = new TLSSocket(client, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] })
  return await new Promise<InterceptResult>(resolve => {
    const refuse = (refused: string): void => {
      socket.destroy()
      resolve({ refused })
    }
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => refuse('the TLS handshake took too long'))
    socket.once('error', error => refuse(describeHandshakeError(error)))
    socket.once('close', () => refuse('the program ended the TLS handshake: it may pin its certificate'))
    socket.once('secure', () => {
      socket.setTimeout(0)
      socket.removeAllListeners('error')
      socket.removeAllListeners('close')
      resolve({ socket })
    })
  })
}

/** Alerts by which a client says that it knows the certificate's authority not, or wants another certificate. */
const DISTRUST = /UNKNOWN_CA|CERTIFICATE_UNKNOWN|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_EXPIRED/

function describeHandshakeError(error: Error): string {
  const code = errnoOf(error) ?? error.message
  return DISTRUST.test(code)
    ? `the program does not trust the recorder's certificate (${code}): it may pin its own`
    : `the TLS handshake failed (${code})`
}

function firstBytes(client: Socket): Promise<Buffer | undefined> {
  return new Promise(resolve => {
    const settle = (bytes: Buffer | undefined): void => {
      client.off('data', settle)
      client.off('close', onClose)
      client.off('error', onClose)
      client.pause()
      client.setTimeout(0)
      resolve(bytes)
    }
    const onClose = (): void => settle(undefined)
    client.on('data', settle)
    client.on('close', onClose)
    client.on('error', onClose)
    client.setTimeout(FIRST_BYTES_TIMEOUT_MS, () => {
      client.destroy()
      settle(undefined)
    })
  })
}

/** Says no to a CONNECT, in words: most programs show at least the first line. */
export function refuseConnect(client: Socket, error: AslError): void {
  const body = `asl: ${error.message}${error.hint === undefined ? '' : `\n${error.hint}`}\n`
  const status = isAslError(error, 'NETWORK_REFUSED', 'REQUEST_INVALID') ? '403 Forbidden' : '502 Bad Gateway'
  if (client.destroyed) return
  client.on('error', () => client.destroy())
  client.end(
    `HTTP/1.1 ${status}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
