import { AslError } from '../core/mod.ts'

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** `30d` and the like: a whole number and one of `s m h d w` (reference §12), in milliseconds. @throws AslError USAGE */
export function parseDuration(text: string): number {
  const [, digits, unit] = /^(\d{1,9})([smhdw])$/.exec(text) ?? []
  if (digits === undefined || unit === undefined) {
    throw new AslError('USAGE', `"${text}" is no time`, {
      hint: 'Give a whole number and a unit: 30s, 15m, 12h, 30d, 2w.',
    })
  }
  return Number(digits) * (UNITS_MS[unit] as number)
}
