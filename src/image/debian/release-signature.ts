import type { Key } from 'openpgp'
import { AslError, messageOf } from '../../core/mod.ts'

/** Public keys that may sign an archive, with their fingerprints for messages. */
export interface Keyring {
  readonly keys: readonly Key[]
  /** Upper-case hex of the primary keys. */
  readonly fingerprints: readonly string[]
}

export interface SignedText {
  /** Exactly what was signed. Nothing else of the file may be looked at. */
  readonly text: string
  readonly signers: readonly Signer[]
}

export interface Signer {
  /** Primary key, upper-case hex. */
  readonly fingerprint: string
  readonly userId: string
  /** Whole seconds since 1970. */
  readonly signedAt: number
}

/** @throws AslError SIG_INVALID when the text holds no public key */
export async function openKeyring(armoredKeys: readonly string[]): Promise<Keyring> {
  const { readKeys } = await openpgp()
  const keys: Key[] = []
  for (const armored of armoredKeys) {
    try {
      keys.push(...(await readKeys({ armoredKeys: armored })))
    } catch (error) {
      throw new AslError('SIG_INVALID', `Cannot read the keyring: ${messageOf(error)}`, { cause: error })
    }
  }
  if (keys.length === 0) throw new AslError('SIG_INVALID', 'The keyring holds no public key')
  return { keys, fingerprints: keys.map(key => key.getFingerprint().toUpperCase()) }
}

/**
 * Verifies a cleartext-signed file as the archive writes it (`InRelease`, several signatures): one good signature by a
 * key of the ring is enough, signatures by other keys are passed over, as apt does. A key must have been valid when it
 * signed; the time of checking does not matter, so that a replay years later comes to the same result.
 * @throws AslError SIG_INVALID
 */
export async function verifyClearsigned(bytes: Uint8Array, keyring: Keyring, name: string): Promise<SignedText> {
  const cleartextMessage = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  let result: Awaited<ReturnType<typeof verifyMessage>>
  try {
    result = await verifyMessage(cleartextMessage, keyring)
  } catch (error) {
    throw new AslError('SIG_INVALID', `${name} carries no readable signature: ${messageOf(error)}`, { cause: error })
  }
  const signers: Signer[] = []
  const failures: string[] = []
  for (const signature of result.signatures) {
    try {
      await signature.verified
      signers.push(await describeSigner(signature, keyring))
    } catch (error) {
      failures.push(messageOf(error))
    }
  }
  if (signers.length === 0) {
    throw new AslError('SIG_INVALID', `No signature of ${name} is good: ${failures.join('; ') || 'there is none'}`, {
      hint: `It must be signed by one of ${keyring.fingerprints.join(', ')}. A newer release of the archive may use newer keys.`,
      details: { trusted: keyring.fingerprints, failures },
    })
  }
  return { text: result.data, signers }
}

/** Loaded when it is needed: it takes 100 ms and 20 MiB, which no other work of the program should pay. */
const openpgp = () => import('openpgp')

async function verifyMessage(cleartextMessage: string, keyring: Keyring) {
  const { readCleartextMessage, verify } = await openpgp()
  const message = await readCleartextMessage({ cleartextMessage })
  return verify({ message, verificationKeys: [...keyring.keys], date: null })
}

type Verified = Awaited<ReturnType<typeof verifyMessage>>['signatures'][number]

async function describeSigner(signature: Verified, keyring: Keyring): Promise<Signer> {
  const key = keyring.keys.find(candidate => candidate.getKeys(signature.keyID).length > 0)
  const created = (await signature.signature).packets[0]?.created
  if (key === undefined || !(created instanceof Date)) throw new Error('the signature has no signer or no time')
  return {
    fingerprint: key.getFingerprint().toUpperCase(),
    userId: key.getUserIDs()[0] ?? '',
    signedAt: Math.floor(created.getTime() / 1000),
  }
}
