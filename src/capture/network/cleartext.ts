import { AslError } from '../../core/mod.ts'

const BEGIN = '-----BEGIN PGP SIGNED MESSAGE-----'
const SIGNATURE = '-----BEGIN PGP SIGNATURE-----'

/**
 * The text inside a cleartext signature (RFC 9580 §7), without a look at the signature: nobody may take it for signed.
 * What stands before or behind the message is not part of it.
 * @throws AslError FORMAT_INVALID
 */
export function cleartextOf(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8').split(/\r?\n/)
  const begin = lines.indexOf(BEGIN)
  const blank = lines.indexOf('', begin)
  const end = lines.indexOf(SIGNATURE, begin)
  if (begin < 0 || blank < 0 || end < blank) throw new AslError('FORMAT_INVALID', 'Not a cleartext-signed message')
  const text = lines.slice(blank + 1, end).map(line => (line.startsWith('- ') ? line.slice(2) : line))
  return `${text.join('\n')}\n`
}
