import type { Duplex } from 'node:stream'

/** Events of QEMU's machine protocol that matter here: docs/interop/qmp-spec.rst, qapi/run-state.json. */
export interface QmpEvents {
  /** The guest stopped for good; with -no-reboot a reset is a stop too. */
  onShutdown(reason: string): void
  /** The processors were halted by QEMU itself: an internal error of the accelerator. */
  onStop(): void
}

export interface Qmp {
  /** Ends QEMU now. */
  quit(): void
}

const MAX_LINE_CHARS = 1 << 20

/** Speaks the machine protocol over `socket`: greeting, capabilities, then events until it closes. */
export function openQmp(socket: Duplex, events: QmpEvents): Qmp {
  let rest = ''
  const send = (command: string): void => {
    if (socket.writable) socket.write(`${JSON.stringify({ execute: command })}\n`)
  }
  socket.setEncoding('utf8')
  socket.on('error', () => {}) // QEMU ends while we write: its end is reported by the process
  socket.on('data', (text: string) => {
    rest += text
    if (rest.length > MAX_LINE_CHARS) rest = ''
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const message = JSON.parse(line) as { QMP?: unknown; event?: string; data?: { reason?: string } }
      if (message.QMP !== undefined) send('qmp_capabilities')
      if (message.event === 'SHUTDOWN') events.onShutdown(message.data?.reason ?? 'unknown')
      if (message.event === 'STOP') events.onStop()
    }
  })
  return { quit: () => send('quit') }
}
