import type { Json } from '../core/mod.ts'

/** Plain data as other programs see it: keys in snake_case, absent members left out. */
export function jsonView(value: unknown): Json {
  if (Array.isArray(value)) return value.map(jsonView)
  if (typeof value !== 'object' || value === null) return value as Json
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(members.map(([key, member]) => [snakeCase(key), jsonView(member)]))
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}
