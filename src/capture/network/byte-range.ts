/** A part of a body: `start` inclusive, `end` exclusive. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * One range of RFC 9110 §14.2 against a body of known size. Anything but a single range of bytes is answered with the
 * whole body, as the standard allows: `whole`. A range outside the body is `unsatisfiable`.
 */
export function parseByteRange(header: string | undefined, sizeBytes: number): ByteRange | 'whole' | 'unsatisfiable' {
  const match = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/i.exec(header ?? '')
  if (match === null) return 'whole'
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return 'whole'
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes)
    return length === 0 ? 'unsatisfiable' : { start: sizeBytes - length, end: sizeBytes }
  }
  const start = Number(first)
  if (start >= sizeBytes) return 'unsatisfiable'
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes)
  return end <= start ? 'whole' : { start, end }
}
