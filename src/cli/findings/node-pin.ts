import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HostFinding } from '../../sys/mod.ts'
import type { Context } from '../verb.ts'

/** Is this the Node that package.json pins for the machine? Its bytes go into images, so another one is another image. */
export function probeNodePin(
  context: Pick<Context, 'projectRoot'>,
  running: string = process.versions.node,
): HostFinding {
  const name = 'Node'
  const manifest = JSON.parse(readFileSync(join(context.projectRoot, 'package.json'), 'utf8')) as {
    readonly optionalDependencies?: Readonly<Record<string, string>>
  }
  const pinned = manifest.optionalDependencies?.[`node-linux-${process.arch}`]
  if (running === pinned) return { name, state: 'ok', found: `${running}, as pinned`, neededFor: ['build'] }
  const found = `${running}, wanted ${pinned ?? 'none: no Node is pinned for this machine type'}`
  return { name, state: 'missing', found, remedy: 'make setup, then start asl as bin/asl', neededFor: ['build'] }
}
