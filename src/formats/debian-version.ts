/**
 * Order of Debian versions as deb-version(7) gives it: epoch, upstream version, revision. Negative, zero or positive.
 * Any text is taken, as dpkg does with what is installed already.
 */
export function compareDebianVersions(a: string, b: string): number {
  const left = splitVersion(a)
  const right = splitVersion(b)
  return (
    left.epoch - right.epoch ||
    compareParts(left.upstream, right.upstream) ||
    compareParts(left.revision, right.revision)
  )
}

export const VERSION_OPERATORS = ['<<', '<=', '=', '>=', '>>'] as const
export type VersionOperator = (typeof VERSION_OPERATORS)[number]

/** Whether `version` is in the stated relation to `wanted`: `satisfiesVersion('1.2', '>=', '1.0')`. */
export function satisfiesVersion(version: string, operator: VersionOperator, wanted: string): boolean {
  const order = compareDebianVersions(version, wanted)
  switch (operator) {
    case '<<':
      return order < 0
    case '<=':
      return order <= 0
    case '=':
      return order === 0
    case '>=':
      return order >= 0
    case '>>':
      return order > 0
  }
}

interface VersionParts {
  readonly epoch: number
  readonly upstream: string
  readonly revision: string
}

function splitVersion(version: string): VersionParts {
  const colon = version.indexOf(':')
  const rest = version.slice(colon + 1)
  const dash = rest.lastIndexOf('-')
  return {
    epoch: colon === -1 ? 0 : Number.parseInt(version.slice(0, colon), 10) || 0,
    upstream: dash === -1 ? rest : rest.slice(0, dash),
    revision: dash === -1 ? '' : rest.slice(dash + 1),
  }
}

/** Alternates between text, compared by character weights, and digits, compared as numbers of any length. */
function compareParts(a: string, b: string): number {
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a, i)) || (j < b.length && !isDigit(b, j))) {
      const order = weight(a, i) - weight(b, j)
      if (order !== 0) return order
      i++
      j++
    }
    while (a[i] === '0') i++
    while (b[j] === '0') j++
    let firstDifference = 0
    while (isDigit(a, i) && isDigit(b, j)) {
      if (firstDifference === 0) firstDifference = a.charCodeAt(i) - b.charCodeAt(j)
      i++
      j++
    }
    if (isDigit(a, i)) return 1
    if (isDigit(b, j)) return -1
    if (firstDifference !== 0) return firstDifference
  }
  return 0
}

/** `~` sorts before the end, the end before letters, letters before everything else. Digits count as the end. */
function weight(text: string, at: number): number {
  if (at >= text.length || isDigit(text, at)) return 0
  const code = text.charCodeAt(at)
  if (code === TILDE) return -1
  return (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) ? code : code + 256
}

const TILDE = 0x7e

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 0x30 && code <= 0x39
}
