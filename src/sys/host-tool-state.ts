import { statSync } from 'node:fs'
import { messageOf } from '../core/mod.ts'
import { errnoOf } from './files.ts'
import type { HostTool } from './host-tools.ts'
import { run } from './run.ts'
import { findTool, TOOL_ENV } from './tools.ts'

/** What this host has of one row of the table. */
export interface HostToolState {
  readonly tool: HostTool
  readonly state: 'ok' | 'missing' | 'too-old' | 'broken'
  readonly path?: string
  /** As the program gives it; absent for files and for programs that do not say. */
  readonly version?: string
  /** Why it is not `ok`: one clause. */
  readonly problem?: string
}

/** Looks for a program or file, and asks a program for its version. */
export async function probeHostTool(tool: HostTool): Promise<HostToolState> {
  const path = tool.files === undefined ? findTool(tool.name) : tool.files.find(isFile)
  if (path === undefined) return { tool, state: 'missing', problem: 'not installed' }
  if (tool.versionArgs === undefined || tool.files !== undefined) return { tool, state: 'ok', path }
  let said: string
  try {
    const result = await run([path, ...tool.versionArgs], { env: TOOL_ENV, timeoutMs: 10_000 })
    said = `${result.stdout.toString('utf8')}\n${result.stderr.toString('utf8')}`
  } catch (error) {
    return { tool, state: 'broken', path, problem: `does not run: ${messageOf(error)}` }
  }
  const version = parseVersion(said)
  if (version === undefined) return { tool, state: 'broken', path, problem: 'does not run: it names no version' }
  if (tool.minimum !== undefined && compareVersions(version, tool.minimum) < 0) {
    return { tool, state: 'too-old', path, version, problem: `version ${version}, wanted ${tool.minimum} or newer` }
  }
  return { tool, state: 'ok', path, version }
}

/** The first dotted number that a program prints about itself. */
export function parseVersion(text: string): string | undefined {
  return /\b\d{1,6}(?:\.\d{1,6}){1,4}/.exec(text.replace(/[a-z]+-(?=\d)/g, ' '))?.[0]
}

/** Negative when `a` is older than `b`; compares number by number, a missing one counts as 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map(version => version.split('.').map(Number)) as [number[], number[]]
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false
    throw error
  }
}
