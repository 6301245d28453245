/**
 * Puts together what strace prints in parts when another process gets a word in: `PID call(args <unfinished ...>`, then
 * either `PID <... call resumed>rest`, or, with `-z` in strace 6, the bare rest on the line that follows.
 * @returns whole lines only
 */
export function joinStraceLines(take: (line: string) => void): (line: string) => void {
  const unfinished = new Map<string, string>()
  let previousPid: string | undefined
  const finish = (pid: string, rest: string): void => {
    const start = unfinished.get(pid)
    unfinished.delete(pid)
    if (start !== undefined) take(start + rest)
  }
  return line => {
    const pid = /^\d+/.exec(line)?.[0]
    const bareRestOf = previousPid
    previousPid = undefined
    if (pid === undefined) {
      if (bareRestOf !== undefined) finish(bareRestOf, line)
      return
    }
    if (line.endsWith(UNFINISHED)) {
      unfinished.set(pid, line.slice(0, -UNFINISHED.length))
      previousPid = pid
      return
    }
    const resumed = /^\d+ +<\.\.\. \w+ resumed>(.*)$/s.exec(line)
    if (resumed === null) take(line)
    else finish(pid, resumed[1] as string)
  }
}

const UNFINISHED = ' <unfinished ...>'
