import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { mknod } from '../../sys/mod.ts'

/** A named pipe that another program writes lines to. */
export interface LinePipe {
  readonly path: string
  /** No more writers will come: resolves when the last line has been taken. */
  finish(): Promise<void>
}

const S_IFIFO = 0o010000

/** Lines are bytes, one character each. `path` must not exist. */
export function openLinePipe(path: string, take: (line: string) => void): LinePipe {
  mknod(path, S_IFIFO | 0o600)
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writeFd = openSync(path, constants.O_WRONLY) // ours, so that there is no end before the writer has opened it
  const stream = new Socket({ fd: readFd, readable: true, writable: false })
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const text = rest + chunk.toString('latin1')
    let start = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      take(text.slice(start, end))
      start = end + 1
    }
    rest = text.slice(start)
  })
  const ended = new Promise<void>((resolve, reject) => {
    stream.once('end', resolve)
    stream.once('error', reject)
  })
  ended.catch(() => {}) // reported by finish
  return {
    path,
    finish() {
      closeSync(writeFd)
      return ended
    },
  }
}
