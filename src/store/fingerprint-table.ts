import { AslError } from '../core/mod.ts'

/** The first four digest bytes: evenly spread, and ascending with the digest, so that sorted input fills in sequence. */
export function fingerprintOf(digest: Uint8Array, at = 0): number {
  return (
    (((digest[at] as number) << 24) |
      ((digest[at + 1] as number) << 16) |
      ((digest[at + 2] as number) << 8) |
      (digest[at + 3] as number)) >>>
    0
  )
}

/** No honest set of digests comes near it; made-up ones must not turn a look-up into a walk. */
const LONGEST_PROBE = 1 << 13

/**
 * A hash table from 32-bit fingerprints to numbers, in two typed arrays: 8 bytes a slot, at most three quarters full.
 * A fingerprint is not an identity: the caller confirms each hit against the digest itself.
 */
export class FingerprintTable {
  #bits = 10
  #fingerprints = new Uint32Array(1 << this.#bits)
  /** Value + 1; 0 is an empty slot. */
  #values = new Uint32Array(1 << this.#bits)
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Makes room for `count` values in all, so that filling does not grow the table step by step. */
  reserve(count: number): void {
    let bits = this.#bits
    while (count > (2 ** bits * 3) / 4) bits++
    if (bits > this.#bits) this.#rehash(bits)
  }

  /** The first value under this fingerprint that `isMatch` confirms, or -1. */
  find(fingerprint: number, isMatch: (value: number) => boolean): number {
    const slot = this.#findSlot(fingerprint, isMatch)
    return slot < 0 ? -1 : (this.#values[slot] as number) - 1
  }

  /** Adds a value; equal fingerprints may stand beside each other. */
  insert(fingerprint: number, value: number): void {
    if (this.#count >= (this.#values.length * 3) / 4) this.#rehash(this.#bits + 1)
    this.#place(fingerprint, value + 1)
    this.#count++
  }

  /** Puts `value` in the place of the confirmed one, or adds it. */
  replace(fingerprint: number, value: number, isMatch: (value: number) => boolean): void {
    const slot = this.#findSlot(fingerprint, isMatch)
    if (slot < 0) this.insert(fingerprint, value)
    else this.#values[slot] = value + 1
  }

  *values(): Iterable<number> {
    for (const value of this.#values) if (value !== 0) yield value - 1
  }

  #findSlot(fingerprint: number, isMatch: (value: number) => boolean): number {
    const mask = this.#values.length - 1
    let slot = fingerprint >>> (32 - this.#bits)
    for (let probes = 0; ; probes++, slot = (slot + 1) & mask) {
      const value = this.#values[slot] as number
      if (value === 0) return -1
      if (this.#fingerprints[slot] === fingerprint && isMatch(value - 1)) return slot
      if (probes > LONGEST_PROBE) throw tooClustered()
    }
  }

  #place(fingerprint: number, stored: number): void {
    const mask = this.#values.length - 1
    let slot = fingerprint >>> (32 - this.#bits)
    for (let probes = 0; this.#values[slot] !== 0; probes++, slot = (slot + 1) & mask) {
      if (probes > LONGEST_PROBE) throw tooClustered()
    }
    this.#fingerprints[slot] = fingerprint
    this.#values[slot] = stored
  }

  #rehash(bits: number): void {
    const [fingerprints, values] = [this.#fingerprints, this.#values]
    this.#bits = bits
    this.#fingerprints = new Uint32Array(2 ** bits)
    this.#values = new Uint32Array(2 ** bits)
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== 0) this.#place(fingerprints[i] as number, values[i] as number)
    }
  }
}

function tooClustered(): AslError {
  return new AslError('INDEX_SEGMENT_INVALID', 'The digests of the index are not those of a hash: too many begin alike')
}
