import { createHash } from 'node:crypto'
import { AslError } from './error.ts'

/** Canonical UUID text, lower case and hyphenated. */
export type DomainId = string & { readonly __brand: 'DomainId' }

const NAMESPACE = '46c2a477-acb3-515f-8703-6f1a0019182c'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const PLAIN_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/

/**
 * A UUID, or a plain name that stands for UUIDv5 of it (reference §2).
 * @throws AslError DOMAIN_ID_INVALID for anything else, or for an id whose number would be 0
 */
export function parseDomainId(text: string): DomainId {
  if (!UUID.test(text) && !PLAIN_NAME.test(text)) {
    throw new AslError('DOMAIN_ID_INVALID', `Not a domain id: "${text.slice(0, 80)}"`, {
      hint: 'Give a lower-case UUID, or a name of a-z, 0-9 and "-" with at most 63 characters.',
    })
  }
  const id = (UUID.test(text) ? text : uuidV5(NAMESPACE, text)) as DomainId
  domainNumber(id)
  return id
}

/** The u32 that stands for a domain in index and federation records: the last four bytes of its UUID. */
export function domainNumber(id: DomainId): number {
  const number = Number.parseInt(id.slice(-8), 16)
  if (number === 0) throw new AslError('DOMAIN_ID_INVALID', `Domain id ${id} ends in 00000000, which numbers no domain`)
  return number
}

/** UUID version 5 (RFC 9562): a name in a namespace, so that equal inputs give equal ids. */
export function uuidV5(namespace: string, name: string): string {
  const digest = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x50
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80
  const hex = digest.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}
