import { createHash, hash } from 'node:crypto'
import { AslError } from './error.ts'

/** Plain SHA-256 of content as `sha256sum` prints it: 64 lower-case hex digits. Never a {@link Reference}. */
export type Sha256 = string & { readonly __brand: 'Sha256' }

export function sha256(bytes: Uint8Array | string): Sha256 {
  return hash('sha256', bytes, 'hex') as Sha256
}

export function sha256Bytes(bytes: Uint8Array | string): Buffer {
  return hash('sha256', bytes, 'buffer')
}

/** An incremental SHA-256 for content that does not fit in memory. */
export function sha256Stream(): { update(bytes: Uint8Array): void; digest(): Sha256 } {
  const state = createHash('sha256')
  return {
    update: bytes => void state.update(bytes),
    digest: () => state.digest('hex') as Sha256,
  }
}

/** @throws AslError REF_INVALID when the text is not 64 lower-case hex digits */
export function parseSha256(text: string): Sha256 {
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new AslError('REF_INVALID', `Not a sha256: "${text.slice(0, 80)}"`, {
      hint: 'Give 64 lower-case hex digits, as sha256sum prints them.',
    })
  }
  return text as Sha256
}
