import type { Key } from 'openpgp'
import { messageOf } from '../core/mod.ts'
import type { Keyring, SignedRelease } from './archive.ts'

/**
 * Checks a clear-signed file against keyrings, armoured or binary. One good signature is enough, as for apt; a key must
 * have been valid when it signed, and the time of asking plays no part: a history of years ago still answers.
 */
export async function verifyRelease(signed: Uint8Array, keyrings: readonly Keyring[]): Promise<SignedRelease> {
  // Loaded on demand: only a question about a Debian package needs it, and it takes 100 ms.
  const { readCleartextMessage, verify } = await import('openpgp')
  const cleartextMessage = Buffer.from(signed).toString('utf8')
  let message: Awaited<ReturnType<typeof readCleartextMessage>>
  try {
    message = await readCleartextMessage({ cleartextMessage })
  } catch (error) {
    const reason = `it carries no readable signature: ${messageOf(error)}`
    return { text: cleartextMessage, signature: { isVerified: false, keyIds: [], reason } }
  }
  const { keys, failures } = await readKeyrings(keyrings)
  const verificationKeys = keys.map(({ key }) => key)
  const { data, signatures } = await verify({ message, verificationKeys, date: null })
  for (const signature of signatures) {
    try {
      await signature.verified
    } catch (error) {
      failures.push(messageOf(error))
      continue
    }
    const signer = keys.find(({ key }) => key.getKeys(signature.keyID).length > 0)
    if (signer === undefined) continue
    const fingerprint = signer.key.getFingerprint().toUpperCase()
    const userId = signer.key.getUserIDs()[0] ?? ''
    return { text: data, signature: { isVerified: true, fingerprint, userId, keyring: signer.path } }
  }
  const keyIds = message.getSigningKeyIDs().map(id => id.toHex().toUpperCase())
  return { text: data, signature: { isVerified: false, keyIds, reason: failures.join('; ') || 'it has no signature' } }
}

const ARMOR = '-----BEGIN PGP'

interface RingKey {
  readonly path: string
  readonly key: Key
}

async function readKeyrings(keyrings: readonly Keyring[]): Promise<{ keys: RingKey[]; failures: string[] }> {
  const { readKeys } = await import('openpgp')
  const keys: RingKey[] = []
  const failures: string[] = []
  for (const { path, bytes } of keyrings) {
    const text = Buffer.from(bytes).toString('latin1')
    try {
      const found = text.includes(ARMOR)
        ? await readKeys({ armoredKeys: text })
        : await readKeys({ binaryKeys: new Uint8Array(bytes) })
      keys.push(...found.map(key => ({ path, key })))
    } catch (error) {
      failures.push(`keyring ${path} cannot be read: ${messageOf(error)}`)
    }
  }
  return { keys, failures }
}
