import { AslError } from '../core/mod.ts'
import type { ByteSource } from './byte-source.ts'

/** What a foreign image holds that its format does not allow; `place` names the structure and where it lies. */
export function formatError(source: Pick<ByteSource, 'name'>, place: string, reason: string): AslError {
  return new AslError('FORMAT_INVALID', `${source.name}: ${place}: ${reason}`, {
    details: { source: source.name, place },
  })
}

/** Names in images are bytes. In messages they are text on one line: what does not print is escaped. */
export function shownName(name: Uint8Array | string): string {
  const text = typeof name === 'string' ? name : utf8OrLatin1(name)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a terminal
  return /[\x00-\x1f\x7f-\x9f"\\]/.test(text) ? JSON.stringify(text) : text
}

function utf8OrLatin1(name: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(name)
  } catch {
    return Buffer.from(name).toString('latin1') // not UTF-8: one character per byte shows every one of them
  }
}
