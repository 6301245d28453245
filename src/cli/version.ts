import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The version in package.json, the only place that has it. */
export function versionOf(projectRoot: string): string {
  const manifest = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { readonly version: string }
  return manifest.version
}
