import { checkCall, systemCall } from './libc.ts'

/** What to wait for: bytes to read, or a change that the kernel reports out of band (as mountinfo does). */
export interface Awaited {
  readonly fd: number
  readonly for: 'input' | 'change'
}

const POLLIN = 1
const POLLPRI = 2
const EINTR = -4
const POLLFD_SIZE_BYTES = 8

/**
 * @returns a function that blocks its thread until one of the descriptors has something, poll(2), and then answers
 *   for each by its place in the list
 */
export function eventWaiter(awaited: readonly Awaited[]): () => (index: number) => boolean {
  const poll = systemCall('poll')
  const fds = Buffer.alloc(POLLFD_SIZE_BYTES * awaited.length)
  for (const [i, entry] of awaited.entries()) {
    fds.writeInt32LE(entry.fd, i * POLLFD_SIZE_BYTES)
    fds.writeInt16LE(entry.for === 'input' ? POLLIN : POLLPRI, i * POLLFD_SIZE_BYTES + 4)
  }
  const isReady = (index: number): boolean => fds.readInt16LE(index * POLLFD_SIZE_BYTES + 6) !== 0
  return () => {
    const result = poll(fds, awaited.length, -1)
    if (result !== EINTR) checkCall('poll', result)
    return isReady
  }
}

const EFD_CLOEXEC = 0o2000000

/** A descriptor that becomes readable once somebody writes eight bytes, eventfd(2): to wake a thread that waits. */
export function openEventFd(): number {
  return checkCall('eventfd', systemCall('eventfd')(0, EFD_CLOEXEC))
}
