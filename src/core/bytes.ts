/** Order by unsigned bytes: the only order that decides what is hashed. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}

/** Order of two texts by their UTF-8 bytes. JavaScript's own `<` orders UTF-16 units, which differs above U+FFFF. */
export function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** The element that is not greater than its predecessor, so that a list is not *sorted without duplicates*. */
export function firstUnsorted<T>(list: readonly T[], compare: (a: T, b: T) => number): number | undefined {
  for (let i = 1; i < list.length; i++) {
    if (compare(list[i - 1] as T, list[i] as T) >= 0) return i
  }
  return undefined
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
