/** A QEMU that plays a part: it speaks on the channels it was given, and ends as told. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface FakeQemuPart {
  /** Said on the serial console. */
  readonly console?: string
  /** Said on the status port. */
  readonly status?: string
  /** Stays until it is told to quit, and tells the reason of its end by then; otherwise it ends at once. */
  readonly end: 'guest-shutdown' | 'guest-reset' | 'internal-error' | 'stays' | 'ignores-quit' | 'crashes'
}

/** Writes the program into `folder` and returns its path. Its arguments are kept beside it, in `argv.json`. */
export function fakeQemu(folder: string, part: FakeQemuPart): string {
  const path = join(folder, 'qemu')
  const script = `#!${process.execPath}
const { writeFileSync, writeSync } = require('node:fs')
const { Socket } = require('node:net')
const part = ${JSON.stringify(part)}
writeFileSync(${JSON.stringify(join(folder, 'argv.json'))}, JSON.stringify(process.argv.slice(2)))
if (part.end === 'crashes') {
  process.stderr.write('qemu: could not open something\\n')
  process.exit(1)
}
const monitor = new Socket({ fd: 3, readable: true, writable: true })
const say = message => monitor.write(JSON.stringify(message) + '\\n')
say({ QMP: { version: {} } })
let heard = ''
monitor.on('data', data => {
  heard += data
  if (heard.includes('"quit"') && part.end !== 'ignores-quit') end('host-qmp-quit')
  else if (heard.includes('qmp_capabilities') && !started) play()
})
let started = false
function play() {
  started = true
  if (part.console !== undefined) writeSync(5, part.console)
  if (part.status !== undefined) writeSync(4, part.status)
  if (part.end === 'internal-error') say({ event: 'STOP' })
  if (part.end.startsWith('guest-')) end(part.end)
}
function end(reason) {
  monitor.end(JSON.stringify({ event: 'SHUTDOWN', data: { guest: true, reason } }) + '\\n', () => process.exit(0))
}
`
  writeFileSync(path, script, { mode: 0o755 })
  return path
}
