import { readdirSync } from 'node:fs'
import { errnoOf, tryReadFile } from './files.ts'

/**
 * Ends a program that leads a process group, with all that it has started: its group, and its descendants that lead
 * groups of their own. A daemon that has given up its parent and its group is out of reach.
 */
export function killTree(pid: number): void {
  const descendants = descendantsOf(pid)
  signal(-pid)
  for (const descendant of descendants) signal(descendant)
}

function descendantsOf(pid: number): readonly number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const parent = /^\d+$/.test(name) ? parentOf(name) : undefined
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const found = [...(children.get(pid) ?? [])]
  for (const descendant of found) found.push(...(children.get(descendant) ?? [])) // grows while it is walked
  return found
}

/** Field 4 of proc_pid_stat(5), counted behind the program's name: that may hold spaces and brackets. */
function parentOf(pid: string): number | undefined {
  try {
    const text = tryReadFile(`/proc/${pid}/stat`)?.toString('latin1')
    return text === undefined ? undefined : Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1])
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return undefined // it ended between open and read
    throw error
  }
}

/** It may be gone already: that is what was wanted. */
function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}
