import { networkInterfaces } from 'node:os'
import koffi from 'koffi'

/** Linux ABI, the same on amd64 and arm64: socket(2), netdevice(7), <linux/if.h>. */
const AF_INET = 2
const SOCK_DGRAM = 2
const SIOCGIFFLAGS = 0x8913
const SIOCSIFFLAGS = 0x8914
const IFF_UP = 1
/** `struct ifreq`: 16 bytes of name, then a union of 24 whose first two are the flags. */
const IFREQ_SIZE_BYTES = 40
const FLAGS_OFFSET = 16

/**
 * Brings `lo` of the current network namespace up, as a new namespace starts with it down.
 * Runs in the child of {@link listenInNamespace}, which turns a plain error of this file into a typed one.
 */
export function bringLoopbackUp(): void {
  if (networkInterfaces().lo !== undefined) return
  const libc = koffi.load('libc.so.6')
  const socket = libc.func('int socket(int domain, int type, int protocol)')
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)')
  const close = libc.func('int close(int fd)')
  const fd = socket(AF_INET, SOCK_DGRAM, 0) as number
  if (fd < 0) throw refused('open a socket', koffi.errno())
  try {
    const request = Buffer.alloc(IFREQ_SIZE_BYTES)
    request.write('lo')
    if ((ioctl(fd, SIOCGIFFLAGS, request) as number) < 0) throw refused('read the flags of lo', koffi.errno())
    request.writeUInt16LE(request.readUInt16LE(FLAGS_OFFSET) | IFF_UP, FLAGS_OFFSET)
    if ((ioctl(fd, SIOCSIFFLAGS, request) as number) < 0) throw refused('bring lo up', koffi.errno())
  } finally {
    close(fd)
  }
}

function refused(action: string, errno: number): Error {
  return new Error(`cannot ${action} there (errno ${errno}): bring lo up when the namespace is made`)
}
